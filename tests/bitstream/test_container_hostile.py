"""Streams as files meet them: pipes, short reads, lies about length, noise."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
import threading
import tracemalloc
from fractions import Fraction
from pathlib import Path

import pytest

from bitstream import (
    BitstreamError,
    Colour,
    Gop,
    Header,
    Segment,
    StreamReader,
    StreamWriter,
    TruncatedError,
    join,
    read_header,
    split,
)

HEADER = Header(b"abcd", 640, 360, Fraction(25), Colour(9, True))
GOPS = [
    Gop(
        index,
        index > 0,
        3,
        random.Random(index).randbytes(900),
        (Segment(0, 2, b"one"), Segment(2, 1, b"two")),
    )
    for index in range(5)
]


class Dripping(io.RawIOBase):
    """A source that cannot seek and gives a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self._rest = data
        self._step = step

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "an unbounded read of a stream"
        taken = min(size, self._step)
        data, self._rest = self._rest[:taken], self._rest[taken:]
        return data


@pytest.mark.parametrize("gops", [GOPS, [Gop(7, False, 1, b"content", (Segment(0, 1, b"z"),))]])
@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_short_reads(gops: list[Gop], step: int) -> None:
    reader = StreamReader(Dripping(join(HEADER, gops), step))  # type: ignore[arg-type]
    assert (reader.header, list(reader)) == (HEADER, gops)


def test_gops_pass_through_a_pipe_one_by_one() -> None:
    read_end, write_end = os.pipe()
    sink = os.fdopen(write_end, "wb", buffering=0)
    writer = StreamWriter(sink, HEADER)
    seen: list[Gop] = []
    second = threading.Event()

    def read() -> None:
        with os.fdopen(read_end, "rb", buffering=0) as source:
            for gop in StreamReader(source):
                seen.append(gop)
                if len(seen) == 2:
                    second.set()

    thread = threading.Thread(target=read)
    thread.start()
    writer.write_gop(GOPS[0])
    writer.write_gop(GOPS[1])
    assert second.wait(5), "two GOPs written, but not both readable yet"
    for gop in GOPS[2:]:
        writer.write_gop(gop)
    writer.finish()
    sink.close()
    thread.join(5)
    assert seen == GOPS
    assert writer.bytes_written == len(join(HEADER, GOPS))


def test_gops_before_the_damage_are_readable() -> None:
    data = join(HEADER, GOPS)
    reader = iter(StreamReader(io.BytesIO(data[:-500])))
    assert [next(reader) for _ in range(4)] == GOPS[:4]
    with pytest.raises(TruncatedError, match=r"GOP 4: content record at byte \d+: payload at byte"):
        next(reader)


def test_header_is_readable_alone() -> None:
    data = join(HEADER, GOPS)
    assert read_header(io.BytesIO(data[:40])) == HEADER


@pytest.mark.parametrize(
    "data",
    [
        b"DSZ\x01" + bytes.fromhex("80808080 02") + b"rest",  # a header record of 2^26 bytes
        b"DSZ\x02" + bytes.fromhex("80808080 02") + b"rest",
        join(HEADER, GOPS[:2])[:22] + bytes.fromhex("81808080 02") + b"rest",
        b"DSZ\x32" + b"abcd" + bytes.fromhex("32 01 feffff1f") + b"rest",
    ],
)
def test_a_declared_length_allocates_nothing(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BitstreamError):
            split(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000


def test_an_endless_compact_stream_is_given_up() -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return bytes(size)

    endless = Endless()
    head = io.BytesIO(b"DSZ\x31")
    source = type("Source", (), {"read": lambda self, n: head.read(n) or endless.read(n)})()
    with pytest.raises(BitstreamError, match="found more than 134217"):
        StreamReader(source)


def test_noise_is_refused() -> None:
    noise = random.Random(1)
    for size in list(range(60)) * 20:
        data = noise.randbytes(size)
        for head in (b"", b"DSZ", b"DSZ\x01", b"DSZ\x02", b"DSZ\x11", b"DSZ\x32"):
            with pytest.raises(BitstreamError):
                split(head + data)


def test_records_changed_at_random_are_refused() -> None:
    noise = random.Random(2)
    data = join(HEADER, GOPS)
    for _ in range(300):
        damaged = bytearray(data)
        start = noise.randrange(len(data) - 8)
        damaged[start : start + noise.randint(1, 8)] = noise.randbytes(noise.randint(0, 8))
        if bytes(damaged) != data:
            with pytest.raises(BitstreamError):
                split(bytes(damaged))


def test_writer_refuses_misuse() -> None:
    writer = StreamWriter(io.BytesIO(), HEADER)
    with pytest.raises(ValueError, match="no GOP was written"):
        writer.finish()
    with pytest.raises(ValueError, match="first GOP cannot refer"):
        writer.write_gop(GOPS[1])
    writer.write_gop(GOPS[0])
    writer.finish()
    for misuse in (writer.finish, lambda: writer.write_gop(GOPS[0])):
        with pytest.raises(ValueError, match="the stream is finished"):
            misuse()


def test_reading_a_container_imports_neither_numpy_nor_torch() -> None:
    code = (
        "import sys, bitstream; bitstream.scan; bitstream.StreamWriter\n"
        "print([name for name in ('torch', 'numpy', 'constriction') if name in sys.modules])\n"
        "bitstream.SymbolDecoder; bitstream.quantize_pmf; print('torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]", "False"]


def test_import_takes_milliseconds() -> None:
    code = "import time; t = time.process_time(); import bitstream; print(time.process_time() - t)"
    root = Path(__file__).parents[2]
    seconds = min(
        float(subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True).stdout)
        for _ in range(3)
    )
    assert seconds < 0.15
