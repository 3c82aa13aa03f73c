"""EBML (RFC 8794), of which Matroska is made: elements of an identifier, a length and a body."""

from __future__ import annotations

from typing import NamedTuple

_LONGEST = 8  # bytes of a length


class Element(NamedTuple):
    """One element; its body may be a list of elements again."""

    identifier: int
    body: bytes


def pack(identifier: int, body: bytes) -> bytes:
    """Pack an element, its length in as few bytes as possible."""
    num_bytes = next(n for n in range(1, _LONGEST + 1) if len(body) < (1 << 7 * n) - 1)
    length = (1 << 7 * num_bytes | len(body)).to_bytes(num_bytes, "big")
    return identifier.to_bytes((identifier.bit_length() + 7) // 8, "big") + length + body


def pack_number(identifier: int, value: int) -> bytes:
    """Pack an element that is an unsigned integer."""
    return pack(identifier, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def pack_list(elements: list[Element]) -> bytes:
    """Pack elements one after the other."""
    return b"".join(pack(*element) for element in elements)


def unpack_list(data: bytes) -> list[Element]:
    """Split the body of an element that holds elements.

    Raises:
        ValueError: it does not end where its last element does.
    """
    elements, at = [], 0
    while at < len(data):
        identifier, begin, end = unpack_head(data, at)
        if end > len(data):
            raise ValueError("an EBML element reaches beyond the one around it")
        elements.append(Element(identifier, data[begin:end]))
        at = end
    return elements


def unpack_head(data: bytes, at: int) -> tuple[int, int, int]:
    """Identifier of the element at a place, where its body begins, and where it ends.

    Raises:
        ValueError: there is none.
    """
    identifier, begin = _unpack_number(data, at, keep_marker=True)
    length, begin = _unpack_number(data, begin, keep_marker=False)
    return identifier, begin, begin + length


def _unpack_number(data: bytes, at: int, *, keep_marker: bool) -> tuple[int, int]:
    if at >= len(data) or not data[at]:
        raise ValueError("no EBML element")
    num_bytes = 9 - data[at].bit_length()
    number = int.from_bytes(data[at : at + num_bytes], "big")
    return number if keep_marker else number - (1 << 7 * num_bytes), at + num_bytes
