"""Video ⇄ .dsz stream: both directions hold one GOP at a time."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bitstream import (
    Colour,
    Gop,
    Header,
    MalformedError,
    Segment,
    StreamReader,
    StreamWriter,
    SymbolDecoder,
    SymbolEncoder,
)
from dsaecodec.errors import ConfigError, InputVideoError, ModelError
from dsaecodec.gop import GopPlan, plan_gops
from dsaecodec.gop_coder import (
    SymbolDigest,
    Target,
    Unheard,
    code_content,
    code_dynamics,
    fixed,
)
from dsaecodec.model import SIDE_CHANNELS, SpatialModel, lagrangian, motion_stiffness, smoothness
from dsaecodec.model_io import LoadedModel, load_model
from dsaecodec.synthesis import Planes, Yuv, expand_planes
from dsaecodec.video.frame import Frame420, VideoInfo

DEFAULT_GOP = 32
MAX_GOP = 128
MIN_GOP = 8  # GOPs are not halved below this
MAX_CODER_BYTES = 2**26 - 2
SPLIT_RATIO = 1.6
CHUNK_PIXELS = 2**20  # frames are synthesized in batches of about this many pixels
BLOCK = 16
CONTENT_REACH = 32.0  # frames' worth of squared error that a content coefficient is charged with


@dataclass(frozen=True)
class EncodeOptions:
    """How to encode.

    Attributes:
        quality: 0…100, higher is better.
        gop: most frames that share one content; None for the default.
        threads: CPU threads; None leaves the choice to torch.
        device: "auto", "cpu" or "cuda" for the float networks.
        model: name or path of the weights; None for the default.
    """

    quality: int = 50
    gop: int | None = None
    threads: int | None = None
    device: str = "auto"
    model: str | None = None


@dataclass
class Progress:
    """How far an encode is: frames and bytes written."""

    frames: int
    bytes: int


@dataclass(frozen=True)
class EncodeReport:
    """What an encode wrote."""

    frames: int
    gops: int
    bytes: int
    content_bytes: int
    dynamics_bytes: int
    overhead_bytes: int
    seconds: float


@dataclass(frozen=True)
class VerifyReport:
    """What a whole decode found: digests of all symbols and of all pixels."""

    frames: int
    gops: int
    symbols: str
    pixels: str


@contextmanager
def limited_threads(threads: int | None) -> Iterator[None]:
    """Use `threads` CPU threads inside, without gradients, and restore torch's setting after.

    Raises:
        ConfigError: fewer than one thread.
    """
    before = torch.get_num_threads()
    if threads is not None:
        if threads < 1:
            raise ConfigError(f"{threads} threads: expected 1 or more")
        torch.set_num_threads(threads)
    try:
        # full float32 on GPUs too: pixels must agree between machines
        with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
            yield
    finally:
        if threads is not None:
            torch.set_num_threads(before)


def grid_size(height: int, width: int) -> tuple[int, int]:
    """Size of the latent grid of a frame."""
    return -(-height // BLOCK), -(-width // BLOCK)


def to_tensors(frames: Iterable[Frame420], height: int, width: int) -> Yuv:
    """Frames → padded code values - 128: luma [T, 1, H', W'], chroma [T, 2, H'/2, W'/2]."""
    rows, cols = (BLOCK * n for n in grid_size(height, width))

    def pad(planes: list[np.ndarray], scale: int) -> Tensor:
        x = torch.from_numpy(np.stack(planes)).float() - 128
        down, right = rows // scale - x.shape[-2], cols // scale - x.shape[-1]
        return F.pad(x[:, None], (0, right, 0, down), mode="replicate")

    frames = list(frames)
    luma = pad([f.y for f in frames], 1)
    chroma = torch.cat([pad([f.u for f in frames], 2), pad([f.v for f in frames], 2)], 1)
    return Yuv(luma, chroma)


def to_frames(pictures: Yuv, height: int, width: int) -> Iterator[Frame420]:
    """Inverse of `to_tensors`: round, clamp, crop."""

    def to_bytes(x: Tensor) -> np.ndarray:
        return (x + 128).round().clamp(0, 255).to(torch.uint8).cpu().numpy()

    luma, chroma = to_bytes(pictures.luma), to_bytes(pictures.chroma)
    half = slice(0, (height + 1) // 2), slice(0, (width + 1) // 2)
    for y, c in zip(luma, chroma, strict=True):
        u, v = c[(0, *half)], c[(1, *half)]
        planes = (y[0, :height, :width], u, v)
        yield Frame420(*(np.ascontiguousarray(p) for p in planes))


def chunk_frames(height: int, width: int) -> int:
    """Frames to synthesize at once."""
    return max(1, CHUNK_PIXELS // (height * width))


class GopEncoder:
    """Infers and codes the latents of one GOP after another.

    Args:
        loaded: the model.
        height, width: of the frames.
        quality: 0…100.
        first_frame_only: infer every content from its GOP's first frame, to measure what the choice
            of another saves.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        height: int,
        width: int,
        quality: int,
        *,
        first_frame_only: bool = False,
    ) -> None:
        self.first_frame_only = first_frame_only
        self.loaded, self.quality = loaded, quality
        self.height, self.width = height, width
        self.size = grid_size(height, width)
        self.previous: Planes | None = None

    @property
    def model(self) -> SpatialModel:
        """The model in use."""
        return self.loaded.model

    def encode(self, plan: GopPlan) -> list[Gop]:
        """Code the frames of a plan as one GOP or, where they move too much for that, as more.

        Halving a GOP doubles its content and brings frames nearer to it. That pays once dynamics
        cost more than `SPLIT_RATIO` times the content.
        """
        before = self.previous
        content, dynamics = self._payloads(plan)
        too_large = max(len(content), len(dynamics)) > MAX_CODER_BYTES
        worth_it = len(dynamics) > SPLIT_RATIO * len(content)
        if not too_large and not (worth_it and len(plan.frames) >= 2 * MIN_GOP):
            return [self._gop(plan, content, dynamics)]
        if len(plan.frames) == 1:
            raise InputVideoError("a frame needs more bytes than the format allows")
        self.previous = before
        return [coded for half in plan.halves() for coded in self.encode(half)]

    def encode_whole(self, plan: GopPlan) -> Gop:
        """Code one GOP; frames that look back use the content of the call before."""
        return self._gop(plan, *self._payloads(plan))

    def _gop(self, plan: GopPlan, content: bytes, dynamics: bytes) -> Gop:
        count = len(plan.frames)
        segment = Segment(0, count, dynamics)
        return Gop(self.quality, plan.refs_previous, count, content, (segment,))

    def _payloads(self, plan: GopPlan) -> tuple[bytes, bytes]:
        """Coder bytes of content and dynamics."""
        if self.first_frame_only:
            plan = replace(plan, anchor=0)
        frames = to_tensors(plan.frames, self.height, self.width)
        frames = Yuv(*(x.to(self.loaded.device) for x in frames))
        coder = SymbolEncoder(self.loaded.tables)
        targets, steps = self.infer_content(frames, plan.anchor)
        _, f = code_content(self.model, coder, self.size, self.quality, targets)
        f_hat = f.float().to(self.loaded.device) * steps
        planes = self.model.synthesize_content(f_hat, self.quality)
        content = coder.finish()
        previous = planes
        if plan.refs_previous:
            assert self.previous is not None, "the first GOP has nothing to refer to"
            previous = self.previous
        z_targets = self.infer_dynamics(frames, previous, planes, plan)
        coder = SymbolEncoder(self.loaded.tables)
        count = len(plan.frames)
        refs = plan.refs_previous
        code_dynamics(self.model, coder, self.size, self.quality, refs, count, z_targets)
        self.previous = planes
        return content, coder.finish()

    def infer_content(self, frames: Yuv, anchor: int) -> tuple[tuple[Target, Target], Tensor]:
        """Targets of f_hyper and f on the CPU, and the steps of f."""
        one = Yuv(frames.luma[anchor : anchor + 1], frames.chroma[anchor : anchor + 1])
        steps = self.model.f_steps(self.quality)
        scaled = self.model.content_posterior(one) / steps
        hyper = self.model.content_posterior.infer_hyper(scaled)
        stiffness = CONTENT_REACH * steps.square() / lagrangian(self.quality)
        return (fixed(hyper.cpu()), Target(scaled.cpu(), stiffness.cpu())), steps

    def infer_dynamics(
        self, frames: Yuv, previous: Planes, current: Planes, plan: GopPlan
    ) -> Target:
        """Target of z_t of all frames on the CPU.

        Motion is chosen first, in a pass of the prior over a GOP without residuals; the residual is
        what the prediction by that motion lacks.
        """
        model, steps = self.model, self.model.z_steps(self.quality)
        side = steps[:, :SIDE_CHANNELS]
        per_bit = 1 / lagrangian(self.quality)
        luma = frames.luma.transpose(0, 1)
        mu = smoothness(self.quality)
        chunk = chunk_frames(self.height, self.width)
        motion = model.infer_motion(luma, previous, current, plan.anchor, mu, chunk)
        parts = [motion_stiffness(part) for part in frames.luma.split(chunk)]
        stiffness = torch.cat(parts) * side.square() * per_bit
        motion = self._choose_motion(Target(motion / side, stiffness), plan).to(steps)
        residuals = []
        for t in range(0, luma.shape[1], chunk):
            part = Yuv(frames.luma[t : t + chunk], frames.chroma[t : t + chunk])
            times = part.luma.shape[0]
            a, b = expand_planes(previous, times), expand_planes(current, times)
            dense = model.frame_synthesis.motion(a, b, motion[t : t + chunk] * side)
            prediction, _ = model.frame_synthesis.predict(a, b, dense)
            residuals.append(model.dynamics_posterior.infer_residual(part, prediction))
        values = torch.cat([motion, torch.cat(residuals) / steps[:, SIDE_CHANNELS:]], 1)
        stiffness = steps.square() * per_bit
        stiffness[:, :SIDE_CHANNELS] = math.inf
        return Target(values.cpu(), stiffness.cpu())

    def _choose_motion(self, target: Target, plan: GopPlan) -> Tensor:
        """Symbols of motion and mixing, [T, 5, h, w]."""
        count, _, *size = target.values.shape
        rest = (count, self.model.config.z_channels - SIDE_CHANNELS, *size)
        values = torch.cat([target.values.cpu(), torch.zeros(rest)], 1)
        stiffness = torch.cat([target.stiffness.cpu(), torch.full(rest, math.inf)], 1)
        setting = (self.size, self.quality, plan.refs_previous, count)
        z = code_dynamics(self.model, Unheard(), *setting, Target(values, stiffness))
        return z[:, :SIDE_CHANNELS]


def encode_video(
    frames: Iterable[Frame420],
    info: VideoInfo,
    sink: BinaryIO,
    options: EncodeOptions,
    progress: Callable[[Progress], None] | None = None,
) -> EncodeReport:
    """Encode frames into `sink`, one GOP at a time.

    Raises:
        ConfigError: an option is out of range.
        InputVideoError: there are no frames, or they are too large for the format.
        ModelError: weights missing or unusable.
    """
    if not isinstance(options.quality, int) or not 0 <= options.quality <= 100:
        raise ConfigError(f"quality {options.quality}: expected 0…100")
    gop = DEFAULT_GOP if options.gop is None else options.gop
    if not 1 <= gop <= MAX_GOP:
        raise ConfigError(f"GOP of {gop} frames: expected 1…{MAX_GOP}")
    begin = time.monotonic()
    loaded = load_model(options.model, options.device)
    colour = Colour(info.matrix, info.full_range)
    try:
        header = Header(loaded.identity, info.width, info.height, info.fps, colour)
    except ValueError as error:
        raise InputVideoError(f"the video does not fit the format: {error}") from error
    writer = StreamWriter(sink, header)
    encoder = GopEncoder(loaded, info.height, info.width, options.quality)
    num_frames = num_gops = content_bytes = dynamics_bytes = 0
    plans = plan_gops(frames, gop)
    while (plan := next(plans, None)) is not None:
        with limited_threads(options.threads):
            gops = encoder.encode(plan)
        for coded in gops:
            writer.write_gop(coded)
            content_bytes += len(coded.content)
            dynamics_bytes += sum(len(s.payload) for s in coded.segments)
        num_gops, num_frames = num_gops + len(gops), num_frames + len(plan.frames)
        if progress:
            progress(Progress(num_frames, content_bytes + dynamics_bytes))
    if not num_frames:
        raise InputVideoError("no frames to encode")
    writer.finish()
    total = writer.bytes_written
    overhead = total - content_bytes - dynamics_bytes
    seconds = time.monotonic() - begin
    return EncodeReport(
        num_frames, num_gops, total, content_bytes, dynamics_bytes, overhead, seconds
    )


class Decoder:
    """Frames of a stream, one GOP at a time.

    Args:
        source: a .dsz stream, seekable or not.
        device, threads, model: as in `EncodeOptions`.

    Raises:
        BitstreamError: damaged or not a .dsz; also while iterating.
        ModelError: the stream needs other weights.
    """

    def __init__(
        self,
        source: BinaryIO,
        *,
        device: str = "auto",
        threads: int | None = None,
        model: str | None = None,
    ) -> None:
        self.reader = StreamReader(source)
        header = self.reader.header
        colour = header.colour
        self.info = VideoInfo(
            header.width, header.height, header.fps, colour.matrix, colour.full_range, None
        )
        self.threads = threads
        self.loaded = load_model(model, device, header.model)
        if self.loaded.identity != header.model:
            raise ModelError(
                f"the stream was made with model {header.model.hex()}, "
                f"this one is {self.loaded.identity.hex()}",
                hint="name the right weights with --model",
            )
        self.size = grid_size(header.height, header.width)
        self.digest = SymbolDigest()
        self.num_gops = 0

    def __iter__(self) -> Iterator[Frame420]:
        previous: Planes | None = None
        for gop in self.reader:
            with limited_threads(self.threads):
                planes = self._content(gop)
            reference = planes
            if gop.refs_previous:
                if previous is None:
                    raise MalformedError(f"GOP {self.num_gops}: refers to a content before it")
                reference = previous
            for segment in gop.segments:
                yield from self._segment(gop, segment, reference, planes)
            previous = planes
            self.num_gops += 1

    def _content(self, gop: Gop) -> Planes:
        model = self.loaded.model
        coder = SymbolDecoder(gop.content, self.loaded.tables)
        hyper, f = code_content(model, coder, self.size, gop.quality, None)
        coder.finish()
        self.digest.update(hyper, f)
        f_hat = f.float().to(self.loaded.device) * model.f_steps(gop.quality)
        return model.synthesize_content(f_hat, gop.quality)

    def _segment(
        self, gop: Gop, segment: Segment, previous: Planes, current: Planes
    ) -> Iterator[Frame420]:
        model, info = self.loaded.model, self.info
        coder = SymbolDecoder(segment.payload, self.loaded.tables)
        with limited_threads(self.threads):
            count, refs = segment.num_frames, gop.refs_previous
            z = code_dynamics(model, coder, self.size, gop.quality, refs, count, None)
            coder.finish()
            self.digest.update(z)
        chunk = chunk_frames(info.height, info.width)
        for t in range(0, count, chunk):
            with limited_threads(self.threads):
                z_hat = z[t : t + chunk].float().to(self.loaded.device)
                z_hat = z_hat * model.z_steps(gop.quality)
                times = z_hat.shape[0]
                a, b = expand_planes(previous, times), expand_planes(current, times)
                pictures = model.synthesize(b, a, z_hat)
                frames = list(to_frames(pictures, info.height, info.width))
            yield from frames
            del frames  # not to be held while the next ones are made


def verify_stream(
    source: BinaryIO,
    *,
    device: str = "auto",
    threads: int | None = None,
    model: str | None = None,
) -> VerifyReport:
    """Check all records, decode all symbols and frames, and digest both.

    Raises:
        BitstreamError, ModelError: as `Decoder`.
    """
    decoder = Decoder(source, device=device, threads=threads, model=model)
    pixels, num_frames = hashlib.sha256(), 0
    for frame in decoder:
        num_frames += 1
        for plane in frame:
            pixels.update(plane.tobytes())
    return VerifyReport(
        num_frames, decoder.num_gops, decoder.digest.hexdigest(), pixels.hexdigest()
    )
