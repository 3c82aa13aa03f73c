"""Reading fields from a file, a pipe or a record's payload without trusting a declared length."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import SEEK_CUR, SEEK_END
from typing import BinaryIO, NoReturn

from bitstream.errors import BitstreamError, MalformedError, TruncatedError
from bitstream.varint import varint_bytes

_CHUNK_BYTES = 1 << 20


class ByteSource:
    """A counted view of a binary file object; forward-only unless `jump` is used.

    Args:
        stream: any object with `read(n)`; short reads are completed.
        offset: position of the stream's next byte in the whole file, for messages.
        place: what is being read, the beginning of every message.
        end_error: raised when the bytes end inside a field.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        offset: int = 0,
        place: str = "stream",
        end_error: type[BitstreamError] = TruncatedError,
    ) -> None:
        self._stream = stream
        self._end_error = end_error
        self._ahead = b""
        self.offset = offset
        self.place = place

    def at_end(self) -> bool:
        """Whether no byte is left; a byte that is there is kept for the next read."""
        if not self._ahead:
            self._ahead = self._stream.read(1)
        return not self._ahead

    def peek(self) -> int | None:
        """The next byte, kept for the next read; None at the end."""
        return None if self.at_end() else self._ahead[0]

    def expect_end(self) -> None:
        """Refuses bytes behind a record's last field."""
        if not self.at_end():
            self.fail("record", self.offset, "further bytes", "its end")

    def can_jump(self) -> bool:
        """Whether the file object can seek."""
        seekable = getattr(self._stream, "seekable", None)
        return seekable is not None and bool(seekable())

    def jump(self, offset: int) -> None:
        """Continues at another byte of the stream."""
        self._stream.seek(offset - self.offset - len(self._ahead), SEEK_CUR)
        self._ahead = b""
        self.offset = offset

    def stream_bytes(self) -> int:
        """Length of the whole stream, found by seeking."""
        position = self._stream.tell()
        left = self._stream.seek(0, SEEK_END) - position
        self._stream.seek(position)
        return self.offset + len(self._ahead) + left

    def read_up_to(self, num_bytes: int) -> bytes:
        """Reads until `num_bytes` are there or the stream ends.

        Memory follows the bytes that really arrive, never the number asked for.
        """
        taken = min(num_bytes, len(self._ahead))
        data = bytearray(self._ahead[:taken])
        self._ahead = self._ahead[taken:]
        while len(data) < num_bytes:
            chunk = self._stream.read(min(_CHUNK_BYTES, num_bytes - len(data)))
            if not chunk:
                break
            data += chunk
        self.offset += len(data)
        return bytes(data)

    def take(self, num_bytes: int, what: str) -> bytes:
        """Reads exactly `num_bytes`.

        Raises:
            BitstreamError: of class `end_error`, the stream ends earlier.
        """
        start = self.offset
        data = self.read_up_to(num_bytes)
        if len(data) < num_bytes:
            raise self._end_error(
                f"{self.place}: {what} at byte {start}: found {len(data)} bytes before the end, "
                f"expected {num_bytes}"
            )
        return data

    def byte(self, what: str) -> int:
        """Reads one byte as an integer."""
        return self.take(1, what)[0]

    def varint(self, what: str, maximum: int) -> int:
        """Reads an LEB128 integer of 0..`maximum`.

        Raises:
            MalformedError: longer than it need be, or above `maximum`.
        """
        start = self.offset
        value = 0
        for index in range(varint_bytes(maximum)):
            byte = self.byte(what)
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                break
        else:
            self.fail(what, start, "an unfinished varint", f"at most {index + 1} bytes")
        if byte == 0 and index > 0:
            self.fail(what, start, f"{index + 1} bytes for {value}", "the shortest varint")
        if value > maximum:
            self.fail(what, start, str(value), f"at most {maximum}")
        return value

    def signed(self, what: str, maximum: int) -> int:
        """Reads a zigzag varint of magnitude 0..`maximum`."""
        value = self.varint(what, 2 * maximum)
        return -(value + 1 >> 1) if value & 1 else value >> 1

    def fail(self, what: str, offset: int, found: str, expected: str) -> NoReturn:
        """Raises MalformedError naming place, found and expected."""
        raise MalformedError(
            f"{self.place}: {what} at byte {offset}: found {found}, expected {expected}"
        )


@contextmanager
def legal_values(place: str) -> Iterator[None]:
    """Turns the ValueError of a dataclass that refuses a value into the stream's fault."""
    try:
        yield
    except ValueError as error:
        raise MalformedError(f"{place}: {error}") from error
