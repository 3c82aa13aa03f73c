"""The first four bytes of every stream: the signature `DSZ` and the form byte."""

from __future__ import annotations

from bitstream.errors import MalformedError, NotDszError, TruncatedError, UnsupportedVersionError
from bitstream.limits import VERSIONS
from bitstream.source import ByteSource

SIGNATURE = b"DSZ"
COMPACT = 0x10
SMALL = 0x20
RATE_SHIFT = 6
VERSION_MASK = 0x0F
_COMPACT_ONLY = 0xE0


def pack_signature(version: int, flags: int = 0) -> bytes:
    """The four bytes; `flags` are the form byte's bits 4-7."""
    return SIGNATURE + bytes([version | flags])


def read_signature(source: ByteSource) -> bytes:
    """Reads the four bytes.

    Raises:
        NotDszError, TruncatedError, UnsupportedVersionError, MalformedError: what they say.
    """
    data = source.read_up_to(len(SIGNATURE) + 1)
    found = data[: len(SIGNATURE)]
    if not SIGNATURE.startswith(found):
        raise NotDszError(
            f"signature at byte 0: found {found!r}, expected {SIGNATURE!r}",
            hint="is this a .dsz file?",
        )
    if len(data) <= len(SIGNATURE):
        raise TruncatedError(f"signature at byte 0: found {len(data)} bytes, expected 4")
    form = data[-1]
    if form & VERSION_MASK not in VERSIONS:
        raise UnsupportedVersionError(
            f"form at byte 3: found version {form & VERSION_MASK}, "
            f"expected {VERSIONS[0]} to {VERSIONS[-1]}",
            hint="a newer release may read this file",
        )
    if not form & COMPACT and form & _COMPACT_ONLY:
        raise MalformedError(
            f"form at byte 3: found {form:#04x}, expected bits 5-7 zero in the standard form"
        )
    return data


def is_compact(signature: bytes) -> bool:
    """Whether the form byte announces the compact form."""
    return bool(signature[-1] & COMPACT)


def version_of(signature: bytes) -> int:
    """The format version that the form byte states."""
    return signature[-1] & VERSION_MASK
