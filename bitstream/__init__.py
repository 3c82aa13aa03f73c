"""The .dsz container and the exact symbol coder: bytes to integers and back.

The format is specified in docs/bitstream.md. Reading a container loads neither NumPy nor the coder;
the names of the coder are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bitstream.container import join, overhead_bytes, split
from bitstream.errors import (
    BitstreamError,
    ChecksumError,
    CodecError,
    MalformedError,
    NotDszError,
    TruncatedError,
    UnsupportedVersionError,
)
from bitstream.gop import Gop, Segment
from bitstream.header import Colour, Header
from bitstream.holes import Fault, HoledGop, Salvage, salvage
from bitstream.reader import StreamReader, read_header
from bitstream.record import RecordInfo, RecordType
from bitstream.sound import SoundPacket, SoundTrack
from bitstream.summary import Summary, scan
from bitstream.times import frame_ticks
from bitstream.writer import StreamWriter

if TYPE_CHECKING:
    from bitstream.coder import SymbolCoder, SymbolCounter, SymbolDecoder, SymbolEncoder
    from bitstream.pmf import quantize_pmf
    from bitstream.tables import FrequencyTables

__all__ = [
    "BitstreamError",
    "ChecksumError",
    "CodecError",
    "Colour",
    "Fault",
    "FrequencyTables",
    "Gop",
    "Header",
    "HoledGop",
    "MalformedError",
    "NotDszError",
    "RecordInfo",
    "RecordType",
    "Salvage",
    "Segment",
    "SoundPacket",
    "SoundTrack",
    "StreamReader",
    "StreamWriter",
    "Summary",
    "SymbolCoder",
    "SymbolCounter",
    "SymbolDecoder",
    "SymbolEncoder",
    "TruncatedError",
    "UnsupportedVersionError",
    "frame_ticks",
    "join",
    "overhead_bytes",
    "quantize_pmf",
    "read_header",
    "salvage",
    "scan",
    "split",
]

_LAZY = {
    "FrequencyTables": "bitstream.tables",
    "SymbolCoder": "bitstream.coder",
    "SymbolCounter": "bitstream.coder",
    "SymbolDecoder": "bitstream.coder",
    "SymbolEncoder": "bitstream.coder",
    "quantize_pmf": "bitstream.pmf",
}


def __getattr__(name: str) -> Any:
    """Imports a name of the coder on first use."""
    if name not in _LAZY:
        raise AttributeError(f"module 'bitstream' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
