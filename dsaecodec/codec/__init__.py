"""Video ⇄ .dsz stream. Encoder and decoder mirror each other and share every line that codes.

encoder       frames → GOPs → stream            decoder      stream → GOPs → frames
gop_encoder   one GOP: inference and symbols    gop_coder    symbols through a coder, both ways
gop_plan      where GOPs begin and end          pictures     frames ⇄ tensors
refine        latents by descent                window       the part of a stream wanted
preset        how hard to try                   timing       when frames are shown
"""

from __future__ import annotations

from dsaecodec.codec.decoder import Decoder, VerifyReport, verify_stream
from dsaecodec.codec.encoder import EncodeOptions, EncodeReport, Progress, encode_video

__all__ = [
    "Decoder",
    "EncodeOptions",
    "EncodeReport",
    "Progress",
    "VerifyReport",
    "encode_video",
    "verify_stream",
]
