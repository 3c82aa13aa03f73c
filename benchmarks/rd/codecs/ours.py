"""Our own codec: a rate is the bytes of the whole file."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

import bitstream
import dsaecodec
from benchmarks.rd.clip import Clip, Frames
from benchmarks.rd.codec import CannotCode, Codec, Coded, ModelSize
from benchmarks.rd.measure import as_rgb
from bitstream import Colour, Gop, Header, StreamWriter, SymbolCounter, SymbolDecoder
from bitstream.limits import RGB_VERSION, VERSION
from dsaecodec import __version__
from dsaecodec.codec import Decoder, EncodeOptions, encode_video
from dsaecodec.codec.gop_plan import plan_gops
from dsaecodec.codec.preset import PRESETS
from dsaecodec.codec.threads import limited_threads
from dsaecodec.errors import InputVideoError, ModelError
from dsaecodec.model_io import LoadedModel, load_model
from dsaecodec.model_store import describe_model, find_model
from dsaecodec.spatial.gop_coder import code_content, code_dynamics, fixed
from dsaecodec.spatial.gop_encoder import SpatialGopEncoder
from dsaecodec.spatial.kinematics import Place
from dsaecodec.spatial.pictures import grid_size
from dsaecodec.video import Frame420, rgb_to_420

_QUALITIES = (15.0, 30.0, 45.0, 60.0, 75.0)


def our_codecs(model: str | None = None) -> list[Codec]:
    """The presets and the ablation, of the weights of that name or path."""
    medium = Ours("dsaecodec", "dsaecodec", model)
    fast = Ours("dsaecodec-fast", "dsaecodec fast", model, "fast")
    slow = Ours("dsaecodec-slow", "dsaecodec slow", model, "slow", all_qualities=_QUALITIES)
    first = OursFromFirstFrame("dsaecodec-first", "dsaecodec, f from the first frame", model)
    return [medium, fast, slow, first, OurVectors()]


@dataclass(frozen=True)
class Ours(Codec):
    """dsaecodec with a preset.

    Attributes:
        model: name or path of the weights, None for the default.
        preset: of the encoder.
    """

    name: str
    label: str
    model: str | None = None
    preset: str = "medium"
    threads: int = 1
    qualities: tuple[float, ...] = _QUALITIES
    all_qualities: tuple[float, ...] = (5.0, *_QUALITIES, 90.0)

    def settings(self, clip: Clip, quality: float) -> str:
        """The command, versions and the weights' identity."""
        identity = _load(self.model).identity.hex()
        command = f"dsaecodec encode -q {quality:g} --preset {self.preset} --audio none"
        versions = f"dsaecodec {__version__}, format {VERSION}, weights {identity}"
        colour = "" if clip.kind == "yuv420" else "; RGB as YUV 4:2:0 BT.709 full range"
        return f"{command}; {versions}{colour}"

    def encode(self, clip: Clip, quality: float) -> Coded:
        """Code a clip to one file."""
        options = EncodeOptions(_whole(quality), None, self.threads, "cpu", self.model, self.preset)
        sink = io.BytesIO()
        try:
            encode_video(_frames_420(clip), clip.info, sink, options)
        except InputVideoError as error:
            raise CannotCode(str(error)) from error
        return Coded((sink.getvalue(),))

    def decode(self, coded: Coded, clip: Clip) -> Frames:
        """Decode a file."""
        source = io.BytesIO(coded.packets[0])
        reader = Decoder(source, device="cpu", threads=self.threads, model=self.model)
        frames = list(reader)
        return frames if clip.kind == "yuv420" else as_rgb(clip, frames)

    def size(self, clip: Clip) -> ModelSize:
        """Parameters, and bytes of the weights' file."""
        numbers = sum(p.numel() for p in _load(self.model).model.parameters())
        return ModelSize(numbers, find_model(self.model, None).stat().st_size)

    def account(self, coded: Coded, clip: Clip) -> dict[str, float]:
        """What the file's bits went to, and what the prior's memory saved."""
        data, loaded = coded.packets[0], _load(self.model)
        size = grid_size(clip.info.height, clip.info.width)
        with limited_threads(self.threads):
            reader = bitstream.StreamReader(io.BytesIO(data))
            saved = sum(_saved_by_memory(loaded, size, gop) for gop in reader)
        return {**_shares(data), "prior_saved_bits": saved}


@dataclass(frozen=True)
class OursFromFirstFrame(Ours):
    """The ablation: every GOP's content inferred from its first frame alone."""

    def settings(self, clip: Clip, quality: float) -> str:
        """As the codec's own."""
        return super().settings(clip, quality) + "; contents inferred from first frames"

    def encode(self, clip: Clip, quality: float) -> Coded:
        """Code a clip to one file."""
        loaded, info, sink = _load(self.model), clip.info, io.BytesIO()
        colour = Colour(info.matrix, info.full_range)
        header = Header(loaded.identity, info.width, info.height, info.fps, colour)
        writer, preset = StreamWriter(sink, header), PRESETS[self.preset]
        coder = SpatialGopEncoder(
            loaded, info.height, info.width, _whole(quality), preset=preset, first_frame_only=True
        )
        for plan in plan_gops(_frames_420(clip), preset.longest_gop(info.height, info.width)):
            with limited_threads(self.threads):
                gops = coder.encode(plan)
            for gop in gops:
                writer.write_gop(gop)
        writer.finish()
        return Coded((sink.getvalue(),))


@dataclass(frozen=True)
class OurVectors(Codec):
    """dsaecodec with the vector model that has the name of a clip's set."""

    name: str = "dsaecodec-vector"
    label: str = "dsaecodec, vectors"
    threads: int = 1
    qualities: tuple[float, ...] = (30.0, 45.0, 60.0, 75.0)
    all_qualities: tuple[float, ...] = (20.0, 30.0, 45.0, 60.0, 75.0, 90.0)

    def unsuitable(self, clip: Clip) -> str | None:
        """Only RGB clips of the size of a model that is named like their set."""
        try:
            entry = describe_model(find_model(_set_of(clip)))
        except ModelError:
            return f"{self.label}: no model named {_set_of(clip)}"
        size = (clip.info.height, clip.info.width)
        if clip.kind != "rgb" or not entry.side or size != (entry.side, entry.side):
            return f"{self.label}: {_set_of(clip)} is no vector model for such pictures"
        return None

    def settings(self, clip: Clip, quality: float) -> str:
        """The command, versions and the weights' identity."""
        identity = _load(_set_of(clip)).identity.hex()
        command = f"dsaecodec encode -q {quality:g} --model {_set_of(clip)}"
        return f"{command}; dsaecodec {__version__}, format {RGB_VERSION}, weights {identity}"

    def encode(self, clip: Clip, quality: float) -> Coded:
        """Code a clip to one file."""
        frames = [frame for frame in clip.frames if isinstance(frame, np.ndarray)]
        options = {"quality": _whole(quality), "threads": self.threads}
        data = dsaecodec.encode(frames, model=_set_of(clip), fps=clip.info.fps, **options)
        return Coded((data,))

    def decode(self, coded: Coded, clip: Clip) -> Frames:
        """Decode a file."""
        return list(dsaecodec.decode(coded.packets[0], threads=self.threads))

    def size(self, clip: Clip) -> ModelSize | None:
        """Parameters, and bytes of the weights' file."""
        if self.unsuitable(clip):
            return None
        numbers = sum(p.numel() for p in _load(_set_of(clip)).model.parameters())
        return ModelSize(numbers, find_model(_set_of(clip)).stat().st_size)

    def account(self, coded: Coded, clip: Clip) -> dict[str, float]:
        """What the file's bits went to."""
        return _shares(coded.packets[0])


def _set_of(clip: Clip) -> str:
    """The set of a clip, without what says how it was cut."""
    return clip.group.partition("-")[0]


def _shares(data: bytes) -> dict[str, float]:
    summary = bitstream.scan(io.BytesIO(data))
    return {
        "content_bits": 8 * summary.content_bytes,
        "dynamics_bits": 8 * summary.dynamics_bytes,
        "overhead_bits": 8 * summary.overhead_bytes,
    }


_load_once = lru_cache(maxsize=4)(load_model)


def _load(model: str | None) -> LoadedModel:
    return _load_once(model, "cpu")


def _whole(quality: float) -> int:
    if quality != round(quality):
        raise CannotCode(f"qualities of dsaecodec are whole numbers, not {quality:g}")
    return round(quality)


def _frames_420(clip: Clip) -> list[Frame420]:
    info = clip.info
    return [
        frame if isinstance(frame, Frame420) else rgb_to_420(frame, info.matrix, info.full_range)
        for frame in clip.frames
    ]


def _saved_by_memory(loaded: LoadedModel, size: tuple[int, int], gop: Gop) -> float:
    """Bits that a GOP's dynamics would cost more with the prior's state held at zero.

    Ideal code lengths of the same symbols under the same weights.
    """
    saved = 0.0
    coder = SymbolDecoder(gop.content, loaded.tables)
    content = code_content(loaded.spatial, coder, size, gop.quality, None)
    for segment in gop.segments:
        part = (segment.first, segment.num_frames, gop.num_frames)
        setting = (size, gop.quality, Place.of(*part, gop.refs_previous, content.motion))
        coder = SymbolDecoder(segment.payload, loaded.tables)
        z = code_dynamics(loaded.model, coder, *setting, None)
        with_memory, without = SymbolCounter(loaded.tables), SymbolCounter(loaded.tables)
        code_dynamics(loaded.model, with_memory, *setting, fixed(z))
        code_dynamics(loaded.model, without, *setting, fixed(z), remember=False)
        saved += without.bits - with_memory.bits
    return saved
