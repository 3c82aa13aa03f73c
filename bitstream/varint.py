"""Unsigned LEB128: seven bits a byte, least significant first, top bit set on all but the last."""

from __future__ import annotations


def pack_varint(value: int) -> bytes:
    """Encodes an unsigned integer in the fewest bytes."""
    packed = bytearray()
    while value > 0x7F:
        packed.append(value & 0x7F | 0x80)
        value >>= 7
    packed.append(value)
    return bytes(packed)


def varint_bytes(value: int) -> int:
    """Length of `pack_varint(value)`, bytes."""
    return max(1, -(-value.bit_length() // 7))
