"""Unsigned LEB128: seven bits a byte, least significant first, top bit set on all but the last.

Signed integers are mapped to unsigned ones first, zigzag: 0, -1, 1, -2 become 0, 1, 2, 3.
"""

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


def zigzag(value: int) -> int:
    """The unsigned integer that stands for a signed one."""
    return 2 * value if value >= 0 else -2 * value - 1
