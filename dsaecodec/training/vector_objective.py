"""What training a vector model minimises.

For a random quality q of each clip, with its step Δ(q) and λ(q) = 2^((50 - q) / 12.5), it is

    E[ D / λ(q) + β R ],   D = mse of RGB,   R in bits a frame,

β being what a bit is worth (`sequences.bit`), R the code length of the exact priors. Latents are
noisy first and rounded later.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dsaecodec import likelihood
from dsaecodec.exact import round_ste
from dsaecodec.training.chance import Noise
from dsaecodec.training.objective import Terms
from dsaecodec.vector.model import VectorModel
from dsaecodec.vector.pictures import UNIT


class CodedClips(NamedTuple):
    """Clips as they would be coded.

    Attributes:
        decoded: [blocks, N, T, 192].
        errors: mean squared error of each clip [N], code values squared.
        bits_f: of each clip [N].
        bits_z: of each clip [N], all frames.
    """

    decoded: Tensor
    errors: Tensor
    bits_f: Tensor
    bits_z: Tensor

    def terms(self, loss: Tensor) -> Terms:
        """What a step measured."""
        blocks, _, num_frames, samples = self.decoded.shape
        pixels = blocks * samples // 3
        rate_f, rate_z = self.bits_f.mean() / pixels, self.bits_z.mean() / (pixels * num_frames)
        return Terms(loss, self.errors.mean(), rate_f, rate_z)

    @property
    def bits_a_frame(self) -> Tensor:
        """Of each clip [N]."""
        return (self.bits_f + self.bits_z) / self.decoded.shape[2]


def lagrangian(quality: Tensor) -> Tensor:
    """λ of qualities [N]."""
    return torch.exp2((50 - quality.float()) / 12.5)


def sketch_terms(
    model: VectorModel, blocks: Tensor, quality: Tensor, noise: Noise, bit: float
) -> Terms:
    """The first stage: a universal code, of 1 + 2 log2(1 + |y|) bits, in the priors' place.

    Args:
        model: what is trained.
        blocks: clips [blocks, N, T, 192].
        quality: [N].
        noise: of the N clips.
        bit: squared error that a bit a frame is worth.
    """
    f, z = (x.float() for x in model.infer(blocks))
    step = model.step(quality)
    noisy_f, noisy_z = noise.add(f / step), noise.add(z / step[:, None])
    bits_f, bits_z = (1 + 2 * torch.log2(1 + y.abs()) for y in (noisy_f, noisy_z))
    decoded = model.decode(noisy_f * step, noisy_z * step[:, None])
    coded = CodedClips(decoded, _errors(blocks, decoded), bits_f.sum(1), bits_z.sum((1, 2)))
    return coded.terms((coded.errors + bit * coded.bits_a_frame).mean() / UNIT)


def sequence_terms(
    model: VectorModel,
    blocks: Tensor,
    quality: Tensor,
    noise: Noise | None,
    bit: float,
) -> Terms:
    """The second stage: everything.

    Args:
        model, blocks, quality: as in `sketch_terms`.
        noise: of the N clips; None: latents are rounded.
        bit: squared error that a bit a frame is worth at quality 50.
    """
    coded = code_clips(model, blocks, quality, noise)
    cost = coded.errors / lagrangian(quality) + bit * coded.bits_a_frame
    return coded.terms(cost.mean())


def coding_terms(model: VectorModel, blocks: Tensor, quality: Tensor) -> Terms:
    """The last stage: the rate of rounded latents, for which only the priors answer.

    Args:
        model, blocks, quality: as in `sequence_terms`.
    """
    with torch.no_grad():
        f, z = (x.float() for x in model.infer(blocks))
        step = model.step(quality)
        symbols_f, symbols_z = torch.round(f / step), torch.round(z / step[:, None])
    bits_f, bits_z = _bits(model, symbols_f, symbols_z, symbols_f, symbols_z, quality)
    coded = CodedClips(blocks, torch.zeros_like(bits_f), bits_f, bits_z)
    return coded.terms(coded.bits_a_frame.mean())


def code_clips(
    model: VectorModel, blocks: Tensor, quality: Tensor, noise: Noise | None
) -> CodedClips:
    """Clips [blocks, N, T, 192] at qualities [N], see `sequence_terms`."""
    f, z = (x.float() for x in model.infer(blocks))
    step = model.step(quality)
    scaled_f, scaled_z = f / step, z / step[:, None]
    symbols_f, symbols_z = round_ste(scaled_f), round_ste(scaled_z)
    said_f = symbols_f if noise is None else noise.add(scaled_f)
    said_z = symbols_z if noise is None else noise.add(scaled_z)
    bits_f, bits_z = _bits(model, symbols_f, symbols_z, said_f, said_z, quality)
    decoded = model.decode(said_f * step, said_z * step[:, None])
    return CodedClips(decoded, _errors(blocks, decoded), bits_f, bits_z)


def _bits(
    model: VectorModel,
    symbols_f: Tensor,
    symbols_z: Tensor,
    said_f: Tensor,
    said_z: Tensor,
    quality: Tensor,
) -> tuple[Tensor, Tensor]:
    """Bits of f and z [N] each, of what is said where priors know the symbols before."""
    bits_f = likelihood.bits(said_f, *model.content_prior.parameters_of(symbols_f, quality))
    bits_z = likelihood.bits(said_z, *_dynamics_parameters(model, symbols_z, quality))
    return bits_f.sum(1), bits_z.sum((1, 2))


def _dynamics_parameters(
    model: VectorModel, symbols: Tensor, quality: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and index of known z [N, T, Z] from a restart, the same shape.

    All symbols are known, so the recurrence runs first and the rest sees one batch.
    """
    prior = model.dynamics_prior
    count, num_frames = symbols.shape[:2]
    states = [prior.init_state(count)]
    for t in range(num_frames - 1):
        states.append(prior.update(states[-1], symbols[:, t], quality))
    parts = (torch.stack(part, 1).flatten(0, 1) for part in zip(*states, strict=True))
    batch = type(states[0])(*parts)
    said = prior.parameters_of(batch, symbols.flatten(0, 1), quality.repeat_interleave(num_frames))
    mean, index = (x.unflatten(0, (count, num_frames)) for x in said)
    return mean, index


def _errors(blocks: Tensor, decoded: Tensor) -> Tensor:
    return UNIT**2 * (decoded.float() - blocks).square().mean((0, 2, 3))
