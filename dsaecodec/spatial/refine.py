"""Descent on a GOP's latents, `--preset slow`: more work for the encoder, none for the decoder.

One-shot inference takes content from one frame and motion from matching. What a stream pays for is

    J = D / λ + R,      D = mse_Y + (mse_U + mse_V) / 2, summed over pixels and frames,  R in bits,

so f and the motion of z_t are moved towards its minimum. Each round codes the latents as they would
be sent, takes the gradient g of J at those *symbols* s through the synthesis, and aims anew at

    s - g / (2 · stiffness),

Newton's step with the curvature that rounding assumes already (`gop_coder.Target`). The bits of f
and of motion stay out of g: rounding weighs them. Those of the residual are in it, since a better
prediction saves them. Where the residual is coded it follows the prediction (straight-through);
where it is not, the error stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dsaecodec.codec.symbols import Unheard
from dsaecodec.codec.threads import limited_threads
from dsaecodec.finite import check_finite
from dsaecodec.likelihood import MEAN_UNITS
from dsaecodec.spatial.code_length import Parameters, iter_dynamics_parameters
from dsaecodec.spatial.model import CONTENT_REACH, SIDE_CHANNELS
from dsaecodec.spatial.pictures import floats, squared_error
from dsaecodec.spatial.synthesis import Planes, Yuv, expand_planes

if TYPE_CHECKING:
    from dsaecodec.spatial.content import ContentSymbols
    from dsaecodec.spatial.gop_encoder import SpatialGopEncoder
    from dsaecodec.spatial.inference import Inference

CURVATURE = 0.7  # of J in f against that of error in all frames: they blend two contents
DAMPING = 0.7  # share of a step that is taken at first
MOTION_LIMIT = 1.0  # symbols that motion may move in a round
LOGIT_STIFFNESS = 50.0  # of the mixing logit, whose target has an infinite one


class Refiner:
    """Refinement of one GOP.

    Args:
        encoder: codes what is tried.
        found: the latents to begin with.

    Attributes:
        cost_before, cost_after: J of the GOP in bits.
    """

    def __init__(self, encoder: SpatialGopEncoder, found: Inference) -> None:
        self.encoder, self.found = encoder, found
        self.cost_before = self.cost_after = 0.0

    def run(self, rounds: int) -> Inference:
        """The best latents of some rounds, those to begin with among them."""
        damping = DAMPING
        best = self._try(self.found)
        self.cost_before = best.cost
        for index in range(rounds):
            trial = self._try(self._moved(best, damping))
            if trial.judged < best.judged:
                best = trial
            elif index + 1 < rounds:
                damping /= 3  # from the best again, with smaller steps
        self.cost_after = best.cost
        return best.found

    def _try(self, found: Inference) -> _Trial:
        contents = self.encoder.contents(found.quality)
        content, planes = contents.code(found.content, found.prediction, Unheard())
        z = self.encoder.code_dynamics(found, planes, Unheard())
        with limited_threads(self.encoder.crew.threads):  # the crew rests
            return _Trial(self.encoder, found, content, z)

    @staticmethod
    def _moved(trial: _Trial, damping: float) -> Inference:
        """Latents one step on."""
        content, motion = trial.found.content, trial.found.motion
        f = content.f
        frames = len(motion.values) / 2 + _leaning(len(motion.values))
        stiffness = f.stiffness * (CURVATURE * frames / CONTENT_REACH)
        aim = trial.f - trial.gradient_f / (2 * stiffness)
        f = f._replace(values=f.values + damping * (aim - f.values))
        stiffness = motion.stiffness.clone()
        stiffness[:, -1:] = LOGIT_STIFFNESS
        step = (-trial.gradient_motion / (2 * stiffness)).clamp(-MOTION_LIMIT, MOTION_LIMIT)
        aim = trial.motion + step
        motion = motion._replace(values=motion.values + damping * (aim - motion.values))
        return replace(trial.found, content=content._replace(f=f), motion=motion)


class _Trial:
    """Symbols of a GOP, what they cost and where J falls.

    Attributes:
        found: the latents they were rounded from.
        f, motion: symbols [1, C, h, w] and [T, 5, h, w].
        cost: J of the GOP, bits.
        judged: J, and the next GOP's share in the error of the content.
        gradient_f, gradient_motion: of `judged` less the bits of f and motion.
    """

    def __init__(
        self, encoder: SpatialGopEncoder, found: Inference, content: ContentSymbols, z: Tensor
    ) -> None:
        self.encoder, self.found = encoder, found
        self.f, self.motion = content.f.float(), z[:, :SIDE_CHANNELS].float()
        self.cost = float(content.bits(encoder.model, found.quality))
        self.gradient_f = torch.zeros_like(self.f)
        self.gradient_motion = torch.zeros_like(self.motion)
        self.judged = 0.0
        with torch.enable_grad():
            self._descend(z)
        self.judged += self.cost

    def _descend(self, z: Tensor) -> None:
        """Add the dynamics to the cost, and find the gradients, a few frames at a time."""
        encoder, place = self.encoder, self.found.place
        model, quality = encoder.model, self.found.quality
        f = self.f.to(encoder.loaded.device).requires_grad_()
        with torch.no_grad():  # its graph is large: it is made again when frames are done
            f_hat = f * model.f_steps(quality)
            planes = model.synthesize_content(f_hat, quality, self.found.prediction)
        planes = _map(planes, lambda x: x.requires_grad_())
        said = iter_dynamics_parameters(
            model.dynamics_prior, z[None], quality, place, encoder.chunk, encoder.restart
        )
        for begin in range(0, len(z), encoder.chunk):
            with torch.no_grad():
                heard = next(said)
            self._descend_frames(z, slice(begin, begin + encoder.chunk), planes, heard)
        grads = [x.grad for x in _tensors(planes)]
        del planes
        self._descend_content(f, grads, len(z))

    def _descend_frames(self, z: Tensor, part: slice, planes: Planes, heard: Parameters) -> None:
        """Some frames: their cost, the gradients of their motion and of the planes."""
        device, lmbda = self.encoder.loaded.device, self.encoder.lmbda
        self.cost += float(heard.bits(z[part]).sum())
        mean, index = heard.mean[:, SIDE_CHANNELS:], heard.index[:, SIDE_CHANNELS:]
        symbols = z[part, SIDE_CHANNELS:]
        active = torch.floor(mean / MEAN_UNITS + 0.5) != symbols
        motion = self.motion[part].to(device).requires_grad_()
        distortion, bits = self._frames_cost(
            floats(self.found.frames, part),
            planes,
            motion,
            symbols.float().to(device),
            active.to(device),
            Parameters(mean.float().to(device), index.float().to(device)),
        )
        self.cost += float(distortion.detach()) / lmbda
        (distortion / lmbda + bits).backward()
        assert motion.grad is not None
        self.gradient_motion[part] = motion.grad.cpu()

    def _descend_content(self, f: Tensor, grads: list[Tensor | None], num_frames: int) -> None:
        """From the gradients of the planes, and the content's own error, to that of f."""
        model, quality = self.encoder.model, self.found.quality
        f_hat = f * model.f_steps(quality)
        planes = model.synthesize_content(f_hat, quality, self.found.prediction)
        anchor = self.found.plan.anchor
        frame = floats(self.found.frames, slice(anchor, anchor + 1))
        leaning = _leaning(num_frames) * squared_error(frame, planes.picture) / self.encoder.lmbda
        self.judged += float(leaning.detach())
        pairs = [(x, g) for x, g in zip(_tensors(planes), grads, strict=True) if g is not None]
        torch.autograd.backward([leaning, *(x for x, _ in pairs)], [None, *(g for _, g in pairs)])
        assert f.grad is not None
        self.gradient_f = f.grad.cpu()

    def _frames_cost(
        self,
        frames: Yuv,
        planes: Planes,
        motion: Tensor,
        symbols: Tensor,
        active: Tensor,
        said: Parameters,
    ) -> tuple[Tensor, Tensor]:
        """Squared error of some frames, and the bits of their residual."""
        model, previous = self.encoder.model, self.found.previous
        steps = model.z_steps(self.found.quality)
        a, b = (expand_planes(p, len(motion)) for p in (previous or planes, planes))
        synthesis = model.frame_synthesis
        dense = synthesis.motion(a, b, motion * steps[:, :SIDE_CHANNELS])
        check_finite(*dense)
        prediction, difference = synthesis.predict(a, b, dense)
        steps = steps[:, SIDE_CHANNELS:]
        values = model.dynamics_posterior.infer_residual(frames, prediction) / steps
        coded = symbols + (values - values.detach()) * active
        decoded = synthesis.finish(prediction, difference, coded * steps)
        return squared_error(frames, decoded), said.bits(coded).sum()


def _leaning(num_frames: int) -> float:
    """Frames of the next GOP that lean on the content of one, for its share in J."""
    return 16.0 if num_frames == 1 else num_frames / 2


def _tensors(planes: Planes) -> list[Tensor]:
    return [*planes.picture, *planes[1:]]


def _map(planes: Planes, function: Callable[[Tensor], Tensor]) -> Planes:
    luma, chroma, *rest = map(function, _tensors(planes))
    return Planes(Yuv(luma, chroma), *rest)
