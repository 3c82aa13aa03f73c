"""Versions of the libraries behind FFmpeg's encoders, where they can be known."""

from __future__ import annotations

import ctypes
import re
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np

from benchmarks.rd.codecs.classic_stream import encode_planes
from benchmarks.rd.codecs.elementary import Stream, banner

_ASKED = {  # encoder: its library, the function that tells the version
    "libvpx-vp9": ("libvpx", "vpx_codec_version_str"),
    "libsvtav1": ("libSvtAv1Enc", "svt_av1_get_version"),
}


def ffmpeg_version() -> str:
    """Version of libavcodec, which holds the decoders and some encoders."""
    return "libavcodec " + ".".join(map(str, av.library_versions["libavcodec"]))


@cache
def encoder_version(encoder: str, stream: Stream) -> str:
    """What an encoder's library says it is; "" where it does not say.

    x264 and x265 sign what they code, so a grey frame is coded; libvpx and SVT-AV1 are asked.

    Raises:
        CannotCode: FFmpeg lacks the encoder.
    """
    if stream in ("h264", "h265"):
        grey = np.full((64, 64), 128, np.uint8)
        quiet = {"x265-params": "log-level=none"} if encoder == "libx265" else {}
        packets = encode_planes(encoder, quiet, [(grey,) * 3], "yuv444p", Fraction(25), 1)
        signed = banner(packets, stream)
        # "x264 - core 165 - H.264/…", "x265 (build 216) - 4.2:[Linux]… - H.265/…"
        return re.split(r" - H\.26", signed)[0]
    try:
        name, function = _ASKED[encoder]
        call = getattr(ctypes.CDLL(_loaded(name)), function)
    except (KeyError, OSError, AttributeError):
        return ""
    call.restype = ctypes.c_char_p
    return f"{name.removeprefix('lib')} {(call() or b'').decode('ascii', 'replace')}"


def _loaded(name: str) -> str:
    """Path of a shared library that this process has loaded, by Linux's list of them.

    Raises:
        OSError: it is not among them, or this is another system.
    """
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.split(maxsplit=5)[5:]
        if path and re.match(rf"{name}[-.\d]", Path(path[0]).name):
            return path[0]
    raise OSError(f"{name}: not loaded")
