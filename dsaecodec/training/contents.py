"""Contents that the encoder makes of shots, for the stages of the planes and of the hyperprior.

    content before ─ f_motion ─► prediction ─ x - prediction, rounded ─► f

What a filter of contents is given, and what it should have made of it: predictions are those of the
filter that the stage begins with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

from bitstream.limits import MAX_QUALITY
from dsaecodec.codec.gop_plan import GopPlan
from dsaecodec.codec.threads import Crew
from dsaecodec.errors import UsageError
from dsaecodec.model_io import LoadedModel
from dsaecodec.spatial.model import SpatialModel, content_step, smoothness
from dsaecodec.spatial.motion import BLOCK, estimate_around
from dsaecodec.spatial.pictures import floats, grid_size, to_tensors
from dsaecodec.spatial.synthesis import Planes, Yuv
from dsaecodec.training.shots import Shot
from dsaecodec.training.symbols import Choice, narrow
from dsaecodec.video.frame import Frame420

LENGTHS = (4, 8, 4, 16, 8, 32)  # of GOPs, in turn
_ALWAYS = ("f", "scaled", "motion", "luma", "chroma")
_PARTS = (*_ALWAYS, "predicted_luma", "predicted_chroma")


class Example(NamedTuple):
    """A content: what is coded of it, what it was predicted as, what it is of.

    Attributes:
        quality: 0…100.
        f: symbols [1, C, h, w], int16.
        scaled: what they were rounded from, float16.
        motion: f_motion [1, 2, h, w], int16, or [1, 0, h, w]: it stands alone.
        source: the frame, code values - 128, int8.
        prediction: the same, rounded; None: it stands alone.
    """

    quality: int
    f: Tensor
    scaled: Tensor
    motion: Tensor
    source: Yuv
    prediction: Yuv | None

    @property
    def num_pixels(self) -> int:
        """Of its frame, with padding."""
        return self.source.luma.numel()

    def crop(self, y: int, x: int, height: int, width: int) -> Example:
        """Some blocks of it."""

        def cut(picture: Yuv) -> Yuv:
            n = BLOCK // 2
            chroma = picture.chroma[..., n * y : n * (y + height), n * x : n * (x + width)]
            n = BLOCK
            return Yuv(picture.luma[..., n * y : n * (y + height), n * x : n * (x + width)], chroma)

        f, scaled, motion = (
            a[..., y : y + height, x : x + width] for a in (self.f, self.scaled, self.motion)
        )
        prediction = None if self.prediction is None else cut(self.prediction)
        return Example(self.quality, f, scaled, motion, cut(self.source), prediction)


def errors(model: SpatialModel, examples: Sequence[Example]) -> Tensor:
    """Squared error of each, Y + U + V a pixel of luma, [N], with gradients for the filter.

    Args:
        model: whose filter makes pictures of them.
        examples: of one size, all predicted or none.
    """
    steps = [model.f_steps(one.quality) for one in examples]
    f = torch.cat([one.f.to(step) * step for one, step in zip(examples, steps, strict=True)])
    step = f.new_tensor([content_step(one.quality) for one in examples])
    predictions = [one.prediction for one in examples if one.prediction is not None]
    prediction = _stack(predictions, f) if predictions else None
    made, _ = model.content_synthesis.picture(f, step, prediction)
    source = _stack([one.source for one in examples], f)
    luma, chroma = ((a - b).square().mean((1, 2, 3)) for a, b in zip(made, source, strict=True))
    return luma + chroma


def encode_contents(
    loaded: LoadedModel, shot: Shot, quality: int, gop: int, lone: bool
) -> dict[str, Tensor]:
    """Encode contents of a shot alone, no dynamics; what `read_contents` reads.

    Args:
        loaded: the model.
        shot: pictures.
        quality: 0…100; that of GOPs is around it.
        gop: longest GOP.
        lone: one GOP with a single content, its own.
    """
    tensors = {}
    for i, one in enumerate(_examples(loaded, shot, quality, gop, lone=lone)):
        pictures = (*one.source, *(one.prediction or ()))
        tensors[f"{i}.quality"] = torch.tensor(one.quality)
        parts = zip(_PARTS, (one.f, one.scaled, one.motion, *pictures), strict=False)
        tensors |= {f"{i}.{name}": value.contiguous() for name, value in parts}
    return tensors


def read_contents(choice: Sequence[Choice]) -> list[tuple[int, list[Example]]]:
    """What was encoded of all choices: the shot's number and its contents.

    Raises:
        UsageError: an older version encoded them, and left out what is needed now.
    """
    found = []
    for one in choice:
        tensors = load_file(one.file)
        if any(f"0.{part}" not in tensors for part in _ALWAYS):
            raise UsageError(
                f"{one.file}: contents that an older version encoded",
                hint="begin the run in another folder",
            )
        found.append((one.number, list(_read(tensors))))
    return found


def _read(tensors: dict[str, Tensor]) -> Iterator[Example]:
    i = 0
    while f"{i}.quality" in tensors:
        f, scaled, motion, *pictures = (
            tensors[name] for part in _PARTS if (name := f"{i}.{part}") in tensors
        )
        prediction = Yuv(*pictures[2:]) if len(pictures) > 2 else None
        quality, source = int(tensors[f"{i}.quality"]), Yuv(*pictures[:2])
        yield Example(quality, f, scaled, motion, source, prediction)
        i += 1


@torch.no_grad()
def _examples(
    loaded: LoadedModel, shot: Shot, quality: int, gop: int, *, lone: bool
) -> Iterator[Example]:
    # What only the coder needs: a machine that trains the first stages may lack its library.
    from dsaecodec.spatial.content_encoder import ContentEncoder
    from dsaecodec.spatial.gop_encoder import finer

    height, width = shot.luma.shape[1:]
    frames = list(shot.frames())
    pictures, begin = to_tensors(frames, height, width), 0
    previous: Planes | None = None
    for plan in _plans(frames, quality, gop, lone=lone):
        own = min(max(quality + finer(plan), 0), MAX_QUALITY)
        moments = slice(begin, begin + plan.anchor + 1)
        frame, vectors = floats(pictures, slice(moments.stop - 1, moments.stop)), None
        if previous is not None:
            luma, before = pictures.luma[moments].transpose(0, 1), previous.picture.luma
            vectors = estimate_around(luma, before, 0, smoothness(quality))[:, -1]
        encoder = ContentEncoder(loaded, grid_size(height, width), own, Crew.alone())
        coded = encoder.encode(frame, previous, vectors)
        prediction = None if coded.prediction is None else _bytes(coded.prediction)
        f, motion = narrow(coded.symbols.f), narrow(coded.symbols.motion)
        scaled = coded.targets.f.values.half()
        yield Example(own, f, scaled, motion, _bytes(frame), prediction)
        previous, begin = coded.planes, begin + len(plan.frames)


def _plans(frames: Sequence[Frame420], quality: int, gop: int, *, lone: bool) -> Iterator[GopPlan]:
    """GOPs of a shot, of all lengths that encoders make."""
    if lone:
        yield GopPlan(tuple(frames[:gop]), len(frames[:gop]) // 2, False)
        return
    yield GopPlan(tuple(frames[:1]), 0, False)
    begin, lengths = 1, LENGTHS[quality % len(LENGTHS) :] + LENGTHS
    for length in lengths:
        if begin + length > len(frames):
            return
        yield GopPlan(tuple(frames[begin : begin + length]), length - 1, True)
        begin += length


def _bytes(picture: Yuv) -> Yuv:
    return Yuv(*(x.round().clamp(-128, 127).to(torch.int8).cpu() for x in picture))


def _stack(pictures: Sequence[Yuv], like: Tensor) -> Yuv:
    luma, chroma = zip(*pictures, strict=True)
    return Yuv(torch.cat(luma).to(like), torch.cat(chroma).to(like))
