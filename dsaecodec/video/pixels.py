"""Conversions between RGB, other pixel formats and `Frame420`, by swscale through PyAV.

Matrix and range are always given to swscale explicitly: left alone it assumes BT.601, and takes a
frame's range from the name of its pixel format. Accurate rounding and full chroma interpolation
keep flat colours within 1 of the exact equation; the defaults are off by up to 4.
"""

from __future__ import annotations

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

from dsaecodec.video.frame import (
    BT470BG,
    BT709,
    BT2020,
    RGB,
    SMPTE170M,
    UNSPECIFIED,
    Frame420,
    check_frame,
    same_matrix,
)

_PRECISE = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)
# H.273 codes outside the four that are kept, and the nearest of them: FCC → BT.601,
# SMPTE 240M → BT.709, BT.2020 constant luminance → BT.2020. Anything else is taken as BT.709.
_MATRICES = {BT709: BT709, BT470BG: BT470BG, SMPTE170M: SMPTE170M, BT2020: BT2020}
_NEAREST = {4: SMPTE170M, 7: BT709, 10: BT2020}


def matrix_of(frame: av.VideoFrame) -> int:
    """YUV matrix code of a decoded frame, 2 where it is untagged; RGB becomes BT.709."""
    if is_rgb(frame):
        return BT709
    code = int(frame.colorspace)
    return _MATRICES.get(code) or _NEAREST.get(code, UNSPECIFIED)


def is_full_range(frame: av.VideoFrame) -> bool:
    """Whether a decoded frame's planes, once 4:2:0, span 0…255.

    "yuvj" formats are full range by definition; grey is unless tagged otherwise; RGB is converted
    to limited range.
    """
    tag = int(frame.color_range)
    if is_rgb(frame):
        return False
    if is_grey(frame):
        return tag != int(ColorRange.MPEG)
    return frame.format.name.startswith("yuvj") or tag == int(ColorRange.JPEG)


def is_rgb(frame: av.VideoFrame) -> bool:
    """Whether a frame holds RGB, a palette of it included."""
    return frame.format.is_rgb or frame.format.has_palette


def is_grey(frame: av.VideoFrame) -> bool:
    """Whether a frame has no colour; it may have alpha."""
    return frame.format.name.startswith(("gray", "mono", "ya8", "ya16", "yaf"))


def to_420(
    frame: av.VideoFrame,
    matrix: int,
    full_range: bool,
    height: int | None = None,
    width: int | None = None,
) -> Frame420:
    """Convert a decoded frame of any pixel format; what is as wanted is copied as it is.

    Args:
        frame: its own matrix and range are taken from its tags.
        matrix, full_range: what the result shall have; with matrix 0 it is RGB.
        height, width: what the result shall have, None for the frame's own.
    """
    size = (height or frame.height, width or frame.width)
    if matrix == RGB:
        packed = to_full_rgb(frame, "rgb24", matrix_of(frame), size)
        return rgb_to_planes(rows(packed.planes[0], 3 * size[1]).reshape(*size, 3))
    return _planes(to_yuv(frame, "yuv420p", matrix, full_range, size))


def to_full_rgb(
    frame: av.VideoFrame, to: str, matrix: int, size: tuple[int, int] | None = None
) -> av.VideoFrame:
    """Convert a frame to an RGB format of full range.

    Args:
        frame: of any format; its range is taken from its tags.
        to: the format's name.
        matrix: of the frame, where it is YUV.
        size: height and width that the result shall have, None for the frame's own.
    """
    full = is_rgb(frame) or is_full_range(frame)
    if is_grey(frame) and not full:
        # swscale takes grey for full range whatever it is told: make it luma of the same values.
        frame = _reformat(frame, "yuva444p16le", matrix, ColorRange.JPEG, ColorRange.JPEG)
    elif is_rgb(frame) and max(part.bits for part in frame.format.components) < 8:
        # Made planes, 5 bits end at 248; packed, at 255.
        frame = _reformat(frame, "rgb24", matrix, ColorRange.JPEG, ColorRange.JPEG)
    return _reformat(frame, to, matrix, _range(full), ColorRange.JPEG, size)


def to_yuv(
    frame: av.VideoFrame, to: str, matrix: int, full_range: bool, size: tuple[int, int]
) -> av.VideoFrame:
    """Convert a frame to a YUV format of 8 bits.

    Args:
        frame: of any format.
        to: "yuv420p", or "yuva420p" to keep alpha.
        matrix, full_range: what the result shall have.
        size: height and width that it shall have.
    """
    same_size = (frame.height, frame.width) == size
    if is_rgb(frame):
        return _reformat(frame, to, matrix, ColorRange.JPEG, _range(full_range), size)
    if is_grey(frame):
        # swscale takes grey for full range whatever it is told: name both ends full to keep values.
        target = _range(full_range or not is_full_range(frame))
        return _reformat(frame, to, matrix, ColorRange.JPEG, target, size)
    own = _range(is_full_range(frame))
    if not same_matrix(matrix_of(frame), matrix) or own != _range(full_range):
        # Of several files, or of a stream whose colour changes: by way of RGB, which has neither.
        between = "gbrap" if to == "yuva420p" else "gbrp"
        frame = _reformat(frame, between, matrix_of(frame), own, ColorRange.JPEG)
        return _reformat(frame, to, matrix, ColorRange.JPEG, _range(full_range), size)
    if same_size and to == "yuv420p" and frame.format.name in ("yuv420p", "yuvj420p"):
        return frame
    return _reformat(frame, to, matrix, own, own, size)


def rgb_to_420(rgb: NDArray[np.uint8], matrix: int = BT709, full_range: bool = False) -> Frame420:
    """Convert RGB to YUV 4:2:0.

    Args:
        rgb: uint8 [H, W, 3].
        matrix: H.273 code of the YUV matrix.
        full_range: whether luma shall span 0…255 rather than 16…235.

    Raises:
        ValueError: shape or type differs.
    """
    _check_rgb(rgb)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    return _planes(_reformat(frame, "yuv420p", matrix, ColorRange.JPEG, _range(full_range)))


def rgb_to_planes(rgb: NDArray[np.uint8]) -> Frame420:
    """The planes of RGB pictures, uint8 [H, W, 3], as they are.

    Raises:
        ValueError: shape or type differs.
    """
    _check_rgb(rgb)
    g, b, r = (np.ascontiguousarray(rgb[..., channel]) for channel in (1, 2, 0))
    return Frame420(g, b, r)


def rgb_to_444(frame: Frame420) -> Frame420:
    """RGB planes as YUV of BT.709 and limited range, all planes of full size."""
    source = pack(frame, "gbrp")
    return _planes(_reformat(source, "yuv444p", BT709, ColorRange.JPEG, ColorRange.MPEG))


def frame_to_rgb(
    frame: Frame420, matrix: int = BT709, full_range: bool = False
) -> NDArray[np.uint8]:
    """Convert planes to RGB, uint8 [H, W, 3]; see `rgb_to_420` for the arguments."""
    if matrix == RGB:
        height, width = frame.y.shape
        check_frame(frame, height, width, RGB)
        return np.stack([frame.v, frame.y, frame.u], axis=-1)
    source = pack(frame, "yuv420p")
    result = _reformat(source, "rgb24", matrix, _range(full_range), ColorRange.JPEG)
    height, width = frame.y.shape
    return rows(result.planes[0], 3 * width).reshape(height, width, 3)


def pack(frame: Frame420, pixel_format: str) -> av.VideoFrame:
    """Copy planes into a new frame of PyAV.

    Args:
        frame: the planes.
        pixel_format: "yuv420p", or "yuv444p" to repeat each chroma sample over its 2×2 pixels;
            of RGB planes "gbrp", or "bgr0" for the same samples packed.
    """
    height, width = frame.y.shape
    if pixel_format == "bgr0":
        packed = pack(frame, "gbrp")
        return _reformat(packed, "bgr0", BT709, ColorRange.JPEG, ColorRange.JPEG)
    check_frame(frame, height, width, RGB if pixel_format == "gbrp" else BT709)
    packed = av.VideoFrame(width, height, pixel_format)
    for source, plane in zip(frame.planes, packed.planes, strict=True):
        if source.shape != (plane.height, plane.width):
            source = source.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
        _view(plane)[:, : plane.width] = source
    return packed


def unpack(frame: av.VideoFrame, payload: bytes | None) -> int:
    """Fill a frame with the samples of its planes, stored one after the other without padding.

    Args:
        frame: any planar format of 8 or, ending in "le", 16 bits a sample.
        payload: the samples; None to change nothing.

    Returns:
        The number of bytes such a frame takes.
    """
    offset = 0
    for plane in frame.planes:
        row_bytes = plane.width * (2 if frame.format.name.endswith("le") else 1)
        end = offset + row_bytes * plane.height
        if payload is not None:
            samples = np.frombuffer(payload[offset:end], np.uint8)
            _view(plane)[:, :row_bytes] = samples.reshape(plane.height, row_bytes)
        offset = end
    return offset


def _check_rgb(rgb: NDArray[np.uint8]) -> None:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or rgb.size == 0:
        raise ValueError(f"rgb: {rgb.dtype} {list(rgb.shape)}, expected uint8 [H, W, 3]")


def _reformat(
    frame: av.VideoFrame,
    to: str,
    matrix: int,
    source_range: ColorRange,
    target_range: ColorRange,
    size: tuple[int, int] | None = None,
) -> av.VideoFrame:
    matrix = _MATRICES.get(matrix, BT709)  # a stream may leave it unspecified
    height, width = size or (frame.height, frame.width)
    return VideoReformatter().reformat(
        frame,
        width=width,
        height=height,
        format=to,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        interpolation=_PRECISE,
        src_color_range=source_range,
        dst_color_range=target_range,
        threads=1,
    )


def _range(full: bool) -> ColorRange:
    return ColorRange.JPEG if full else ColorRange.MPEG


def _planes(frame: av.VideoFrame) -> Frame420:
    y, u, v = (rows(plane, plane.width) for plane in frame.planes[:3])
    return Frame420(y, u, v)


def rows(plane: av.video.plane.VideoPlane, row_bytes: int) -> NDArray[np.uint8]:
    """Copy a plane's samples, [H, row_bytes]."""
    return _view(plane)[:, :row_bytes].copy()  # the buffer's rows are padded


def _view(plane: av.video.plane.VideoPlane) -> NDArray[np.uint8]:
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
