"""What a family of models does for the codec: frames of one GOP to records, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from bitstream import Gop, Header, MalformedError, Segment
from bitstream.limits import MAX_GOP_FRAMES
from dsaecodec.codec.gop_plan import GopPlan, plan_gops, plan_lone_gops
from dsaecodec.codec.preset import Preset
from dsaecodec.codec.symbols import SymbolDigest
from dsaecodec.codec.threads import Crew
from dsaecodec.model_io import LoadedModel
from dsaecodec.video.frame import Frame420, VideoInfo


class GopEncoder(Protocol):
    """Infers and codes the latents of one GOP after another.

    Attributes:
        quality: of the GOPs to come, 0…100; may change between two.
        cost_before, cost_after: D / λ + R in bits of all GOPs before and after refinement; 0
            without it.
    """

    quality: int
    cost_before: float
    cost_after: float

    def encode(self, plan: GopPlan) -> list[Gop]:
        """Code the frames of a plan as one GOP or more."""
        ...


class GopDecoder(Protocol):
    """Frames of one GOP after another.

    Attributes:
        digest: of all symbols so far.
    """

    digest: SymbolDigest

    def read_content(self, gop: Gop) -> None:
        """Decode a GOP's content; that of the call before is kept, for what refers to it.

        Raises:
            MalformedError: no encoder makes such a content, or it needs one that is not there.
        """
        ...

    def frames(self, segment: Segment, wanted: range) -> Iterator[tuple[int, Frame420]]:
        """Decode a segment of that GOP; the frames that are wanted, with their numbers in it."""
        ...


def open_gop_encoder(
    loaded: LoadedModel,
    info: VideoInfo,
    quality: int,
    preset: Preset,
    crew: Crew,
    restart: int | None = None,
) -> GopEncoder:
    """The encoder of a model's family.

    Args:
        loaded: the model.
        info: of the video.
        quality: of the first GOPs.
        preset: how hard to try.
        crew: does the work; the caller closes it.
        restart: frames after which the prior of dynamics begins anew, None for never in a GOP.

    Raises:
        ConfigError: there is a restart, and the model knows none.
        InputVideoError: the model is for pictures of another size.
    """
    if loaded.is_vector:
        from dsaecodec.vector.gop_encoder import VectorGopEncoder

        return VectorGopEncoder(loaded, info, quality, restart=restart)
    from dsaecodec.spatial.gop_encoder import SpatialGopEncoder

    size = (info.height, info.width)
    return SpatialGopEncoder(loaded, *size, quality, preset=preset, crew=crew, restart=restart)


def open_gop_decoder(loaded: LoadedModel, header: Header, crew: Crew) -> GopDecoder:
    """The decoder of a model's family.

    Args:
        loaded: the model.
        header: of the stream.
        crew: does the work; the caller closes it.

    Raises:
        MalformedError: see `check_header`.
    """
    check_header(loaded, header)
    if loaded.is_vector:
        from dsaecodec.vector.gop_decoder import VectorGopDecoder

        return VectorGopDecoder(loaded, crew)
    from dsaecodec.spatial.gop_decoder import SpatialGopDecoder

    return SpatialGopDecoder(loaded, header, crew)


def check_header(loaded: LoadedModel, header: Header) -> None:
    """Refuse a stream whose pictures its model cannot make.

    Raises:
        MalformedError: RGB of a spatial model; of a vector model anything but RGB of its size.
    """
    found, expected = "RGB" if header.colour.is_rgb else "YUV 4:2:0", "YUV 4:2:0"
    fits = not header.colour.is_rgb
    if loaded.is_vector:
        size = loaded.vector.config.size
        found, expected = f"{header.width}x{header.height} in {found}", f"{size}x{size} in RGB"
        fits = (header.width, header.height) == (size, size) and header.colour.is_rgb
    if not fits:
        raise MalformedError(
            f"header: found {found}, expected {expected} for model {header.model.hex()}"
        )


def plan(
    loaded: LoadedModel,
    frames: Iterable[Frame420],
    info: VideoInfo,
    gop: int | None,
    preset: Preset,
) -> Iterator[GopPlan]:
    """Cut frames into GOPs as the model's family likes them.

    Args:
        loaded: the model.
        frames, info: of the video.
        gop: most frames that share one content; None for the family's own choice.
        preset: how hard to try.
    """
    if loaded.is_vector:
        return plan_lone_gops(frames, gop or MAX_GOP_FRAMES)
    return plan_gops(frames, gop or preset.longest_gop(info.height, info.width))
