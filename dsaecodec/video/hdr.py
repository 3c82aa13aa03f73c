"""HDR to SDR: PQ or HLG in BT.2020 to BT.709, by a table computed from the equations.

    signal ─ EOTF (BT.2100: PQ table 4, HLG table 5) ─► light, cd/m² on a display of 1000
           ─ EETF (BT.2390 section 5.4.1) on max(R, G, B) ─► light up to 203
           ─ BT.2020 to BT.709 primaries, clipped ─ inverse of BT.1886 ─► signal

203 cd/m² is diffuse white (BT.2408) and becomes 91 % of the SDR signal; light up to 1000 is
compressed into the rest, above it is clipped. The three components keep their ratios until the
change of primaries, so grey stays grey and hues stay.
"""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.filter import Graph
from av.video.format import VideoFormat
from numpy.typing import NDArray

PQ, HLG = 16, 18  # transfer characteristics, ITU-T H.273 table 3
NAMES = {PQ: "PQ", HLG: "HLG"}

FORMAT = "rgb48le"
"""Pixel format that goes in and comes out, full range."""

_SOURCE_PEAK, _TARGET_PEAK = 1000.0, 203.0  # cd/m²
_WHITE = 65280  # what swscale takes for 1 in 16 bits
_LEVEL = 7  # of the table as a picture ("Hald"): 49 nodes an axis
_BT709 = 1  # colour primaries, H.273 table 2
_TO_BT709 = np.array(
    [
        [1.660491, -0.587641, -0.072850],
        [-0.124550, 1.132900, -0.008349],
        [-0.018151, -0.100579, 1.118730],
    ]
)  # BT.2087, rows R G B

Samples = NDArray[np.float64]


def pq_to_light(signal: Samples) -> Samples:
    """EOTF of PQ: signal 0…1 to cd/m²."""
    power = signal ** (1 / _M2)
    return np.asarray(10_000 * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1))


def light_to_pq(light: Samples) -> Samples:
    """Inverse of `pq_to_light`."""
    power = (light / 10_000) ** _M1
    return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def hlg_to_light(signal: Samples) -> Samples:
    """EOTF of HLG, [..., 3]: signal 0…1 to cd/m² on a display of 1000, whose gamma is 1.2."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593])
    return np.asarray(_SOURCE_PEAK * scene * luminance[..., None] ** 0.2)


def compress(light: Samples) -> Samples:
    """EETF: light up to 1000 cd/m² to light up to 203, the dark half of it unchanged."""
    peak = float(light_to_pq(np.array(_SOURCE_PEAK)))
    signal = np.minimum(light_to_pq(light) / peak, 1)
    largest = float(light_to_pq(np.array(_TARGET_PEAK))) / peak
    knee = 1.5 * largest - 0.5
    t = np.maximum(signal - knee, 0) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * largest
    )
    return pq_to_light(np.where(signal < knee, signal, spline) * peak)


def to_sdr(signal: Samples, transfer: int, primaries: int) -> Samples:
    """Map HDR signals to SDR ones.

    Args:
        signal: R'G'B', 0…1, [..., 3].
        transfer: `PQ` or `HLG`.
        primaries: H.273 code; any but BT.709's is taken as BT.2020's.

    Returns:
        R'G'B' of BT.709, the same shape.
    """
    light = pq_to_light(signal) if transfer == PQ else hlg_to_light(signal)
    strongest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    light = light * (compress(strongest) / strongest)
    if primaries != _BT709:
        light = light @ _TO_BT709.T
    return np.asarray(np.clip(light / _TARGET_PEAK, 0, 1) ** (1 / 2.4))


_M1, _M2 = 2610 / 16384, 2523 / 32
_C1, _C2, _C3 = 3424 / 4096, 2413 / 128, 2392 / 128


class ToneMapper:
    """Applies `to_sdr` to frames of one kind and size, through FFmpeg's haldclut filter.

    Args:
        width, height: of the frames.
        transfer, primaries: see `to_sdr`.
    """

    def __init__(self, width: int, height: int, transfer: int, primaries: int) -> None:
        graph = Graph()
        side = _LEVEL**3
        clock = Fraction(1, 25)
        source = graph.add_buffer(
            width=width, height=height, format=VideoFormat(FORMAT), time_base=clock
        )
        table = graph.add_buffer(
            width=side, height=side, format=VideoFormat(FORMAT), time_base=clock
        )
        mapper = graph.add("haldclut", "clut=first:interp=tetrahedral")
        source.link_to(mapper, 0, 0)
        table.link_to(mapper, 0, 1)
        mapper.link_to(graph.add("buffersink"))
        graph.configure()
        table.push(_table(transfer, primaries))
        table.push(None)
        self._graph, self._count = graph, 0

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Map one frame of `FORMAT`."""
        frame.pts, frame.time_base = self._count, Fraction(1, 25)  # the filter wants some
        self._count += 1
        self._graph.push(frame, at=0)
        mapped = self._graph.pull()
        assert isinstance(mapped, av.VideoFrame)
        return mapped


def _table(transfer: int, primaries: int) -> av.VideoFrame:
    """The table as a picture: red runs fastest, then green, then blue."""
    axis = np.minimum(np.linspace(0, 65535 / _WHITE, _LEVEL**2), 1)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    colours = to_sdr(np.stack([red, green, blue], axis=-1), transfer, primaries)
    side = _LEVEL**3
    frame = av.VideoFrame.from_ndarray(
        np.round(colours * _WHITE).astype(np.uint16).reshape(side, side, 3), format=FORMAT
    )
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return frame
