from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

from benchmarks.rd.codec import CannotCode
from benchmarks.rd.codecs.classic_stream import decode_packets, encode_planes, has_coder
from benchmarks.rd.codecs.elementary import banner, counted, nal_type, nal_units, obus
from benchmarks.rd.colour import Planes

SPS, SEI, IDR = b"\0\0\0\1\x67\x42", b"\0\0\1\x06\x05\x01\xaa\x80", b"\0\0\1\x65\x88\x84"
PREFIX_SEI, SUFFIX_SEI = b"\0\0\1\x4e\x01\x05\x80", b"\0\0\0\1\x50\x01\x84\x80"
TRAIL, VPS = b"\0\0\1\x02\x01\xd0", b"\0\0\0\1\x40\x01\x0c"
DELIMITER, FRAME = b"\x12\x00", b"\x32\x03abc"
METADATA, PADDING = b"\x2a\x02\x01\x80", b"\x7a\x01\x80"


@pytest.mark.parametrize("zeros", [b"", b"\0", b"\0\0\0"])
def test_nal_units_join_to_their_packet(zeros: bytes) -> None:
    packet = SPS + SEI + zeros + IDR + zeros
    units = list(nal_units(packet))
    assert b"".join(units) == packet
    assert [nal_type(unit, "h264") for unit in units] == [7, 6, 5]


def test_sei_goes_and_nothing_else() -> None:
    assert counted([SPS + SEI + IDR, SEI, IDR], "h264") == (SPS + IDR, IDR)
    packet = VPS + PREFIX_SEI + TRAIL + SUFFIX_SEI
    assert counted([packet, TRAIL], "h265") == (VPS + TRAIL, TRAIL)


def test_emulation_prevention_is_no_start_code() -> None:
    guarded = IDR + b"\0\0\3\1\x06\0\0\3"
    assert counted([guarded], "h264") == (guarded,)


def test_metadata_and_padding_go_and_delimiters_stay() -> None:
    packet = DELIMITER + METADATA + FRAME + PADDING
    assert b"".join(unit for _, unit in obus(packet)) == packet
    assert [kind for kind, _ in obus(packet)] == [2, 5, 6, 15]
    assert counted([packet, PADDING], "av1") == (DELIMITER + FRAME,)


def test_obu_with_extension_and_long_size() -> None:
    extended = b"\x36\x28\x83\x00abc"  # the size 3 in two bytes
    unsized = b"\x30rest"
    assert list(obus(extended + unsized)) == [(6, extended), (6, unsized)]
    assert list(obus(b"\x32\x80\x01" + bytes(128))) == [(6, b"\x32\x80\x01" + bytes(128))]


@pytest.mark.parametrize("stream", ["vp9", "mpeg2"])
def test_others_count_as_they_are(stream: str) -> None:
    assert counted([b"\x82\x49", b"\0\0\1\xb2banner"], stream) == (  # type: ignore[arg-type]
        b"\x82\x49",
        b"\0\0\1\xb2banner",
    )


@pytest.mark.parametrize(
    ("stream", "packet"),
    [
        ("h264", b""),
        ("h264", b"\x65\x88\x84"),
        ("h264", b"\x17" + IDR),
        ("h264", b"\0\0\1"),
        ("h264", SPS + b"\0\0\1\0\0\1\x65"),
        ("h264", b"\0\0\1\xe5\x88"),
        ("h265", b"\0\0\1\x40"),
        ("h265", b"\0\0\1\xc0\x01"),
        ("av1", b"\x92\x00"),
        ("av1", b"\x32"),
        ("av1", b"\x36"),
        ("av1", b"\x32\x04abc"),
        ("av1", b"\x32\x80"),
        ("av1", b"\x32" + b"\x80" * 8 + b"\0"),
        ("av1", b"\x32\xff\xff\xff\xff\x7f"),
        ("av1", DELIMITER + FRAME + b"\x32\x01"),
    ],
)
def test_malformed_packets_are_refused(stream: str, packet: bytes) -> None:
    with pytest.raises(ValueError):
        counted([packet], stream)  # type: ignore[arg-type]


def test_banner_is_unescaped_and_found_behind_other_messages() -> None:
    text = b"coder 1" + b"-" * 300
    message = b"\x05\xff" + bytes([len(text) + 16 + 1 - 255]) + b"\0\0\3\1" + b"u" * 13
    unit = b"\0\0\1\x06\x01\x02ab" + message + text + b"\0" + b"\x80"
    assert banner([SPS + IDR, unit + IDR], "h264") == text.decode()
    assert banner([SPS + IDR], "h264") == ""
    with pytest.raises(ValueError, match="SEI"):
        banner([b"\0\0\1\x06\x05\x30ab\x80"], "h264")


def noise(num_frames: int) -> list[Planes]:
    rng = np.random.default_rng(1)
    base = rng.integers(0, 256, (3, 64, 64 + num_frames), np.uint8)
    return [tuple(np.ascontiguousarray(base[:, :, i : i + 64])) for i in range(num_frames)]


@pytest.mark.parametrize(
    ("encoder", "decoder", "stream", "options", "signature"),
    [
        ("libx264", "h264", "h264", {"crf": "40"}, "x264"),
        ("libx265", "hevc", "h265", {"crf": "40", "x265-params": "log-level=none"}, "x265"),
    ],
)
def test_a_real_banner_goes_and_only_it(
    encoder: str, decoder: str, stream: str, options: dict[str, str], signature: str
) -> None:
    if not has_coder(encoder, "w"):
        pytest.skip(f"no {encoder}")
    packets = encode_planes(encoder, options, noise(6), "yuv444p", Fraction(25), 1)
    kept = counted(packets, stream)  # type: ignore[arg-type]
    signed = banner(packets, stream)  # type: ignore[arg-type]
    assert signed.startswith(signature) and "options" in signed
    assert signed.encode() in b"".join(packets)
    assert banner(kept, stream) == ""  # type: ignore[arg-type]
    assert signature.encode() not in b"".join(kept)

    units = [list(nal_units(packet)) for packet in packets]
    gone = {u for packet in units for u in packet} - {u for p in kept for u in nal_units(p)}
    assert len(gone) == 1 and signed.encode() in gone.pop()
    assert len(kept) == len(packets) == 6

    whole, stripped = (decode_packets([decoder], p, "yuv444p", 1) for p in (packets, kept))
    assert len(whole) == 6
    np.testing.assert_array_equal(whole, stripped)


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are listed by Linux")
def test_an_encoder_leaves_threads_their_priority() -> None:
    if not has_coder("libsvtav1", "w"):
        pytest.skip("no libsvtav1")
    before = os.sched_getscheduler(0)
    policies: list[set[int]] = []

    def frames() -> Iterator[Planes]:
        for y, u, v in noise(3):
            yield y, u[::2, ::2], v[::2, ::2]
            threads = map(int, os.listdir("/proc/self/task"))
            policies.append({os.sched_getscheduler(thread) for thread in threads})

    options = {"preset": "10", "crf": "50", "svtav1-params": "lp=1"}
    assert len(encode_planes("libsvtav1", options, frames(), "yuv420p", Fraction(25), 1)) == 3
    assert policies == [{before}] * 3
    with pytest.raises(CannotCode, match="refuses"):
        encode_planes("libsvtav1", options, frames(), "yuv420p", Fraction(90_000), 1)
    assert os.sched_getscheduler(0) == before


def test_real_obus_are_counted_with_their_delimiters() -> None:
    if not has_coder("libsvtav1", "w"):
        pytest.skip("no libsvtav1")
    frames: list[Planes] = [(y, u[::2, ::2], v[::2, ::2]) for y, u, v in noise(9)]
    options = {"preset": "10", "crf": "50", "svtav1-params": "lp=1"}
    packets = encode_planes("libsvtav1", options, frames, "yuv420p", Fraction(25), 1)
    for packet in packets:
        kinds = [kind for kind, _ in obus(packet)]
        assert kinds[0] == 2 and kinds.count(2) == 1
        assert b"".join(unit for _, unit in obus(packet)) == packet
    assert len(packets) == 9
    assert counted(packets, "av1") == tuple(packets)

    padded = [packet + PADDING + METADATA for packet in packets]
    assert counted(padded, "av1") == tuple(packets)
