"""Any decoded picture to `Frame420` of one size, matrix and range; what changes is said."""

from __future__ import annotations

import av

from dsaecodec.video import hdr
from dsaecodec.video.alpha import blend_over_black, has_alpha
from dsaecodec.video.decoding import Picture
from dsaecodec.video.frame import BT709, BT2020, RGB, Frame420
from dsaecodec.video.pixels import (
    is_full_range,
    is_grey,
    is_rgb,
    matrix_of,
    to_420,
    to_full_rgb,
)

_SUBSAMPLING = {
    (16, 16): "4:4:4",
    (8, 16): "4:2:2",
    (16, 8): "4:4:0",
    (4, 16): "4:1:1",
    (4, 4): "4:1:0",
}
_UNKNOWN_MATRICES = {8: "YCgCo", 11: "YDzDx", 14: "ICtCp", 15: "IPT-C2", 16: "YCgCo-R"}


class Converter:
    """Converts pictures to what the first of them is.

    Args:
        first: the picture that size and colour are taken from.
        rgb: whether frames shall be RGB, whatever the pictures are.

    Attributes:
        height, width: as shown, turned upright.
        matrix, full_range: see `dsaecodec.video.frame.VideoInfo`.
        num_resized: pictures of another size so far.
    """

    def __init__(self, first: Picture, *, rgb: bool = False) -> None:
        frame = first.frame
        self.height, self.width = first.orientation.size(frame.height, frame.width)
        mapped = frame.color_trc in hdr.NAMES
        self.matrix = BT709 if mapped else matrix_of(frame)
        self.full_range = False if mapped else is_full_range(frame)
        if rgb:
            self.matrix, self.full_range = RGB, True
        self.num_resized = 0
        self._notes: dict[str, None] = {}
        self._noted: tuple[object, ...] = ()
        self._mapper: hdr.ToneMapper | None = None
        self._mapped: tuple[object, ...] = ()
        self._note(frame)

    @property
    def notes(self) -> list[str]:
        """What was changed in the pictures so far, sentences for the user."""
        notes = list(self._notes)
        if self.num_resized:
            size = f"{self.width}x{self.height}"
            notes.append(
                f"the size changes inside the video: {counted(self.num_resized, 'frame')} "
                f"of another size {'is' if self.num_resized == 1 else 'are'} scaled to {size}"
            )
        return notes

    def convert(self, picture: Picture) -> Frame420:
        """Convert one picture; its ticks are left open."""
        frame, turn = picture.frame, picture.orientation
        self._note(frame)
        height, width = turn.size(self.height, self.width)
        if (frame.height, frame.width) != (height, width):
            self.num_resized += 1
        if frame.color_trc in hdr.NAMES:
            frame = self._map(frame)
        if has_alpha(frame):
            planes, transparent = blend_over_black(
                frame, self.matrix, self.full_range, height, width
            )
            if transparent:
                self._notes["alpha is dropped: what is transparent is shown over black"] = None
        else:
            planes = to_420(frame, self.matrix, self.full_range, height, width)
        if turn == (False, False, False):
            return planes
        y, u, v = (turn.turn(plane) for plane in planes.planes)
        return Frame420(y, u, v)

    def _map(self, frame: av.VideoFrame) -> av.VideoFrame:
        kind = (frame.width, frame.height, frame.color_trc, frame.color_primaries)
        if self._mapper is None or kind != self._mapped:
            self._mapper, self._mapped = hdr.ToneMapper(*kind), kind
        matrix = matrix_of(frame) if frame.colorspace == BT709 else BT2020
        return self._mapper.apply(to_full_rgb(frame, hdr.FORMAT, matrix))

    def _note(self, frame: av.VideoFrame) -> None:
        found = (frame.format.name, frame.color_trc, frame.colorspace)
        if found != self._noted:
            self._noted = found
            self._notes |= dict.fromkeys(_describe(frame, self.matrix == RGB))


def counted(count: int, noun: str) -> str:
    """A number and its noun, in the plural where it must be."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _describe(frame: av.VideoFrame, to_rgb: bool) -> list[str]:
    """What is lost in 8 bits, in 4:2:0, and in SDR."""
    notes = []
    form = frame.format
    bits = max((component.bits for component in form.components), default=8)
    if bits > 8 and not form.has_palette:
        notes.append(f"{bits}-bit video is converted to 8 bits")
    if frame.color_trc in hdr.NAMES:
        notes.append(f"HDR ({hdr.NAMES[frame.color_trc]}) is tone-mapped to SDR")
    if is_rgb(frame) and to_rgb:
        return notes
    if is_rgb(frame):
        notes.append("RGB is converted to YUV 4:2:0")
    elif not is_grey(frame):
        sampling = _SUBSAMPLING.get((form.chroma_width(16), form.chroma_height(16)))
        if sampling and not to_rgb:
            verb = "brought" if sampling == "4:1:0" else "reduced"
            notes.append(f"{sampling} chroma is {verb} to 4:2:0")
        unknown = _UNKNOWN_MATRICES.get(frame.colorspace)
        if unknown:
            notes.append(
                f"its colours are coded as {unknown}, which is not supported: they will be off"
            )
    return notes
