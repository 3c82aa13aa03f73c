"""Symbols that the encoder really chooses, for the stage of the priors.

The first stages see latents with additive noise; the encoder rounds against the prior's own code
lengths. So shots of the training data are encoded at random qualities and their symbols kept.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor

from dsaecodec.codec.preset import PRESETS
from dsaecodec.codec.threads import limited_threads
from dsaecodec.model_io import LoadedModel, load_model
from dsaecodec.output import staged
from dsaecodec.spatial.code_length import Parameters, dynamics_parameters
from dsaecodec.spatial.content import ContentSymbols
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.pictures import grid_size
from dsaecodec.training.chance import generator_of
from dsaecodec.training.shots import Shot
from dsaecodec.training.team import Team

LONGEST = PRESETS["medium"].gop + 1  # frames of a shot
LARGEST = 512  # pixels of a side: what stages need of memory grows with them
POLL_SECONDS = 0.5
QUALITIES = (5, 96)  # drawn from these, the upper one excluded
WAYS = (0, 5, 1, 4)  # in which shots are turned when they come again, gravity stays below
SUFFIX = ".safetensors"
_LATENTS = ("hyper", "f", "motion", "z")
Encode = Callable[[LoadedModel, Shot, int, int, bool], dict[str, Tensor]]
"""(model, shot, quality, longest GOP, whether there is only one) → tensors of a file."""
_Packed = tuple[str, NDArray[np.uint8], NDArray[np.uint8], int, int, bool]


@dataclass(frozen=True)
class CodedGop:
    """Symbols of one GOP, int16.

    Attributes:
        quality: 0…100.
        refs_previous: whether it uses the content before it.
        num_pixels: of all its frames.
        content: its symbols.
        z: [T, C, h, w].
        num_bytes: payload of its records.
    """

    quality: int
    refs_previous: bool
    num_pixels: int
    content: ContentSymbols
    z: Tensor
    num_bytes: int

    @property
    def num_frames(self) -> int:
        """T."""
        return int(self.z.shape[0])

    def bits(self, model: SpatialModel) -> tuple[Tensor, Tensor]:
        """Code lengths of f and of all z_t, with gradients for the priors."""
        *content, dynamics = (said.bits(symbols).sum() for said, symbols in self.said(model))
        return torch.stack(content).sum(), dynamics

    def said(self, model: SpatialModel) -> Iterator[tuple[Parameters, Tensor]]:
        """What the priors say of all symbols, and these: those of the content, then z."""
        device = model.f_step.device
        content = ContentSymbols(*(x.to(device).float() for x in self.content))
        yield from content.said(model, self.quality)
        z = self.z.to(device).float()
        setting = (self.quality, self.refs_previous, content.motion)
        yield dynamics_parameters(model.dynamics_prior, z[None], *setting), z


def encode_shot(
    loaded: LoadedModel, shot: Shot, quality: int, gop: int, *, lone: bool = False
) -> list[CodedGop]:
    """Encode a shot and read its symbols back.

    Args:
        loaded: the model.
        shot: frames.
        quality: 0…100.
        gop: longest GOP.
        lone: no more than one such GOP, whose only content is its own, and that is not halved.
    """
    # What only the coder needs: a machine that trains the first stages may lack its library.
    from bitstream import SymbolDecoder
    from dsaecodec.codec.gop_plan import plan_gops
    from dsaecodec.spatial.gop_coder import code_content, code_dynamics
    from dsaecodec.spatial.gop_encoder import SpatialGopEncoder
    from dsaecodec.spatial.kinematics import Place

    height, width = shot.luma.shape[1:]
    size = grid_size(height, width)
    preset = replace(PRESETS["medium"], halves=not lone)
    encoder, coded = SpatialGopEncoder(loaded, height, width, quality, preset=preset), []
    for plan in plan_gops(islice(shot.frames(), gop if lone else LONGEST), gop):
        with limited_threads(None):
            for data in encoder.encode(plan):
                coder, setting = SymbolDecoder(data.content, loaded.tables), (size, data.quality)
                content = code_content(loaded.spatial, coder, *setting, None)
                coder = SymbolDecoder(data.segments[0].payload, loaded.tables)
                place = Place.whole(data.num_frames, data.refs_previous, content.motion)
                z = narrow(code_dynamics(loaded.spatial, coder, *setting, place, None))
                content = ContentSymbols(*map(narrow, content))
                num_bytes = len(data.content) + len(data.segments[0].payload)
                pixels = height * width * data.num_frames
                facts = (data.quality, data.refs_previous, pixels)
                coded.append(CodedGop(*facts, content, z, num_bytes))
    return coded


def encode_gops(
    loaded: LoadedModel, shot: Shot, quality: int, gop: int, lone: bool
) -> dict[str, Tensor]:
    """`encode_shot` as tensors, which `read_gops` reads."""
    tensors = {}
    for i, part in enumerate(encode_shot(loaded, shot, quality, gop, lone=lone)):
        facts = (part.quality, part.refs_previous, part.num_pixels, part.num_bytes)
        tensors[f"{i}.facts"] = torch.tensor([int(fact) for fact in facts])
        latents = zip(_LATENTS, (*part.content, part.z), strict=True)
        tensors |= {f"{i}.{name}": value.contiguous() for name, value in latents}
    return tensors


@dataclass(frozen=True)
class Choice:
    """A shot to encode.

    Attributes:
        number: of the shot, among all.
        shot: which.
        way: how it is turned, see `Shot.turned`.
        quality: at which to encode it.
        gop: longest GOP.
        lone: whether it is coded as a single GOP, see `encode_shot`.
        file: that keeps its symbols.
    """

    number: int
    shot: Shot
    way: int
    quality: int
    gop: int
    lone: bool
    file: Path

    def pictures(self) -> Shot:
        """What is encoded of the shot."""
        shot = self.shot.middle(LARGEST).turned(self.way)
        return replace(shot, luma=shot.luma[:LONGEST], chroma=shot.chroma[:LONGEST])

    def packed(self) -> _Packed:
        """What another process needs, as arrays: tensors would travel through shared memory."""
        shot = self.pictures()
        luma, chroma = (x.cpu().numpy() for x in (shot.luma, shot.chroma))
        return self.shot.name, luma, chroma, self.quality, self.gop, self.lone


def choose(shots: Sequence[Shot], count: int, seed: int, folder: Path) -> list[Choice]:
    """Random shots at random qualities, in GOPs of full and of half length; some again, alone.

    Encoders rarely make GOPs of several frames with a single content, but where they do it saves
    most: a quarter of the shots are coded as such ones of 16, 32 or 64 frames, too.

    Args:
        shots: clips to choose from.
        count: how many choices; where there are fewer shots, they come again, turned and at other
            qualities.
        seed: of the choice.
        folder: shall hold their files; made if missing.
    """
    folder.mkdir(exist_ok=True)
    generator, picks = generator_of(seed, 0), list[int]()
    while shots and len(picks) < count:
        picks += torch.randperm(len(shots), generator=generator).tolist()
    picks = picks[:count]
    qualities = torch.randint(*QUALITIES, (len(picks),), generator=generator_of(seed, 1)).tolist()
    longest = PRESETS["medium"].gop
    ways = [WAYS[i // len(shots) % len(WAYS)] for i in range(len(picks))]
    chosen = [
        (pick, shots[pick], way, quality)
        for pick, way, quality in zip(picks, ways, qualities, strict=True)
    ]
    return [
        Choice(*one, longest if i % 4 else longest // 2, False, folder / f"{i:04}{SUFFIX}")
        for i, one in enumerate(chosen)
    ] + [
        Choice(*one, longest >> i % 3, True, folder / f"{i:04}-lone{SUFFIX}")
        for i, one in enumerate(chosen[::4])
    ]


def encode_choice(
    choice: Sequence[Choice],
    encode: Encode,
    weights: Path,
    jobs: int,
    team: Team,
    stops: Callable[[], bool],
) -> bool:
    """Encode what is not encoded yet; False if something stopped it, to be gone on with later.

    Args:
        choice: of `choose`.
        encode: what is done with each, in a process of its own.
        weights: model file to encode with.
        jobs: processes of one thread each.
        team: shares the work.
        stops: asked now and then.
    """
    todo = [one for one in choice[team.rank :: team.size] if not one.file.exists()]
    stopped = False
    # forked workers would inherit locks of torch's threads
    with ProcessPoolExecutor(jobs, get_context("spawn"), _leave_interrupts) as pool:
        running: set[Future[None]] = set()
        while todo or running:
            while todo and len(running) < jobs:
                one = todo.pop(0)
                running.add(pool.submit(_encode_to_file, encode, weights, one.packed(), one.file))
            done, running = wait(running, POLL_SECONDS, FIRST_COMPLETED)
            for job in done:
                job.result()
            if stops():
                stopped = True
                break
    flag = torch.tensor([float(stopped)], device=team.device)
    team.average_([flag])  # all go on, or none
    return not bool(flag > 0)


def read_gops(choice: Sequence[Choice]) -> list[tuple[int, list[CodedGop]]]:
    """The symbols of all choices: the shot's number and its GOPs."""
    return [(one.number, _read_file(one.file)) for one in choice]


def narrow(symbols: Tensor) -> Tensor:
    """Symbols as files keep them, int16."""
    return symbols.clamp(-(2**15), 2**15 - 1).to(torch.int16)


def _leave_interrupts() -> None:
    """Ctrl-C, and an end asked of the whole group, are for the process that trains."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _encode_to_file(encode: Encode, weights: Path, packed: _Packed, file: Path) -> None:
    torch.set_num_threads(1)
    loaded = load_model(str(weights), "cpu")
    name, luma, chroma, quality, gop, lone = packed
    shot = Shot(name, torch.from_numpy(luma), torch.from_numpy(chroma))
    tensors = encode(loaded, shot, quality, gop, lone)
    with staged(file, overwrite=True) as temporary:
        temporary.write_bytes(save(tensors))


def _read_file(file: Path) -> list[CodedGop]:
    tensors = load_file(file)
    coded = []
    for i in range(len(tensors) // (1 + len(_LATENTS))):
        quality, refs, pixels, size = tensors[f"{i}.facts"].tolist()
        *content, z = (tensors[f"{i}.{name}"] for name in _LATENTS)
        coded.append(CodedGop(quality, bool(refs), pixels, ContentSymbols(*content), z, size))
    return coded
