"""How a picture must be turned to stand upright: display matrices and EXIF."""

from __future__ import annotations

import struct
from typing import NamedTuple, Self, cast

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from numpy.typing import NDArray

_MARKS = (b"Exif\0\0", b"eXIf", b"EXIF")  # of JPEG; the chunks of PNG and of WebP
_TAG = 0x0112


class Orientation(NamedTuple):
    """What to do with the rows and columns of a picture, in this order.

    Attributes:
        transpose: swap rows and columns.
        flip_rows: reverse the order of the rows.
        flip_columns: reverse the order of the columns.
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Self:
        """What a frame's display matrix asks for, to the nearest quarter turn."""
        try:
            data = cast(SideDataContainer, frame.side_data)[Type.DISPLAYMATRIX]
        except KeyError:
            return cls()
        except ValueError:
            # A frame with side data that PyAV does not know shows none of it; this much is left.
            return cls._of_quarters(round(frame.rotation / 90))
        a, b, _, c, d, *_ = struct.unpack("<9i", bytes(data))
        return cls._of_matrix(a, b, c, d)

    @classmethod
    def of_exif(cls, head: bytes) -> Self | None:
        """What the EXIF data of an image file ask for, None if there are none.

        Args:
            head: the file, or enough of its beginning.
        """
        for mark in _MARKS:
            place = head.find(mark)
            if place >= 0:
                block = head[place + len(mark) :]
                skip = max(block[:64].find(b"II*\0"), block[:64].find(b"MM\0*"))
                code = _read_orientation(block[skip:]) if skip >= 0 else None
                if code is not None:
                    return cls(*_EXIF[code])
        return None

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width once turned, or of what becomes these when turned."""
        return (width, height) if self.transpose else (height, width)

    def turn(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn a plane, [H, W]."""
        if self.transpose:
            plane = plane.T
        rows = slice(None, None, -1 if self.flip_rows else 1)
        columns = slice(None, None, -1 if self.flip_columns else 1)
        return np.ascontiguousarray(plane[rows, columns])

    @classmethod
    def _of_quarters(cls, quarters: int) -> Self:
        """From quarter turns counterclockwise."""
        cos, sin = ((1, 0), (0, -1), (-1, 0), (0, 1))[quarters % 4]
        return cls._of_matrix(cos, sin, -sin, cos)

    @classmethod
    def _of_matrix(cls, a: int, b: int, c: int, d: int) -> Self:
        """A pixel at (x, y) is shown at (a x + c y, b x + d y), as ISO/IEC 14496-12 has it."""
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(True, b < 0, c < 0)
        return cls(False, d < 0, a < 0)


UPRIGHT = Orientation()

# EXIF code → transpose, flip_rows, flip_columns. Code 6: turn clockwise, and so on.
_EXIF = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def _read_orientation(tiff: bytes) -> int | None:
    """Find the tag in the first directory of a TIFF block."""
    order = "<" if tiff[:2] == b"II" else ">"
    try:
        (place,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, place)
        for index in range(min(count, 512)):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, place + 2 + 12 * index)
            if tag == _TAG:
                return value if value in _EXIF else None
    except struct.error:
        pass
    return None
