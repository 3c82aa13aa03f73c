"""Every illegal value of the header's options, sound, times and index, behind CRCs that hold."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from io import BytesIO

import pytest
from handmade import everything, record, signed, stream, varint

from bitstream import (
    BitstreamError,
    Colour,
    Gop,
    Header,
    MalformedError,
    Segment,
    SoundPacket,
    SoundTrack,
    StreamWriter,
    join,
    split,
)
from bitstream.limits import MAX_GOP_PACKETS, MAX_PACKET_BYTES

PICTURE = "61626364 8005 e802 19 01 01 00"  # abcd, 640, 360, 25/1, BT.709, 4:2:0
PLAIN = PICTURE + "00"
TRACK = "03616163 c4d802 01 02a1a2"  # aac, 44100 Hz, mono, two bytes of setup
SOUND = PICTURE + "02" + TRACK
C, D = record(1, "3201aa"), record(2, "0001cc")
C_REFS = record(1, "b201aa")


def times(*values: int) -> bytes:
    start, *steps = values
    return record(5, varint(start) + b"".join(map(signed, steps)))


def test_legal_values_pass() -> None:
    assert split(stream(PLAIN, [[C, D]]))[0].sound is None
    assert split(stream(SOUND, [[C, D]]))[0].sound == SoundTrack("aac", 44100, 1, b"\xa1\xa2")
    odd = split(stream(PICTURE + "01 808004 ffff03", [[C, D]]))[0]
    assert odd.sample_aspect == Fraction(65536, 65535)
    (gop,) = split(stream(PLAIN, [[times(0, 0, 5), C, D]]))[1]
    assert gop.times == (0, 3600, 7205)
    (gop,) = split(stream(PLAIN, [[times(0, 2**40 - 3600, 1 - 2**40), C, D]]))[1]
    assert gop.times == (0, 2**40, 2**40 + 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "flags at byte 17: found 0 bytes before the end"),
        ("04", "flags at byte 17: found 0x04, expected bits 2-7 zero"),
        ("83", "flags at byte 17: found 0x83, expected bits 2-7 zero"),
        ("00 00", "header record: record at byte 18: found further bytes"),
        ("01 01 01", "sample aspect at byte 18: found 1/1, expected bit 0 of the flags clear"),
        ("01 04 02", "sample aspect at byte 18: found 4/2, expected a fraction in lowest terms"),
        ("01 00 01", "sample aspect at byte 18: found 0/1, expected a positive fraction"),
        ("01 01 00", "sample aspect at byte 18: found 1/0, expected a positive fraction"),
        ("01 818004 01", "sample aspect numerator at byte 19: found 65537, expected at most 65536"),
        ("01 01 818004", "sample aspect denominator at byte 20: found 65537, expected at most"),
        ("01 03", "sample aspect denominator at byte 19: found 0 bytes before the end"),
        ("02 00", "length of the sound codec's name at byte 18: found 0, expected 1..32"),
        ("02 21" + "61" * 33, "length of the sound codec's name at byte 19: found 33"),
        ("02 03 6141", "sound codec at byte 20: found 2 bytes before the end, expected 3"),
        ("02 03 614163 01 01 00", "sound codec 'aAc', expected 1..32 of a-z"),
        ("02 02 c3a9 01 01 00", "sound codec 'Ã©', expected 1..32 of a-z"),
        ("02 01 61 00 01 00", "sample rate 0, expected 1..1048576"),
        ("02 01 61 818040 01 00", "sample rate at byte 21: found 1048577, expected at most 10485"),
        ("02 01 61 01 00 00", "0 sound channels, expected 1..255"),
        ("02 01 61 01 01 818004", "length of the sound setup at byte 23: found 65537, expected"),
        ("02 01 61 01 01 03 aabb", "sound setup at byte 24: found 2 bytes before the end"),
    ],
)
def test_header_options(options: str, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        split(stream(PICTURE + options, [[C, D]]))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ("", "sound record: start at byte 51: found 0 bytes before the end"),
        ("00", "packet size at byte 52: found 0 bytes before the end"),
        (
            "ffffffffffffff1f 03 05 aa",
            "start at byte 51: found 18014398509481983, expected at most",
        ),
        ("00 02 aa", "packet size at byte 52: found no duration, expected one with the first"),
        ("00 01 05", "packet size at byte 52: found 0, expected at least 1"),
        ("00 03 05 aa 00", "packet size at byte 55: found 0, expected at least 1"),
        ("00 03 00 aa", "packet duration at byte 53: found 0, expected at least 1"),
        ("00 03 8180808008 aa", "packet duration at byte 53: found 2147483649, expected at most"),
        ("00 03 05 aa 03 05 bb", "packet duration at byte 56: found 5 again, expected another"),
        ("00 05 05 aa", "packet at byte 54: found 1 bytes before the end, expected 2"),
        ("00 e1ffff3f 05 aa", "packet size at byte 52: found 1342176[0-9]*, expected at most"),
    ],
)
def test_sound_values(payload: str, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        split(stream(SOUND, [[C, D, record(4, payload)]]))


P = record(4, "06 03 05 aa")  # from sample 3


@pytest.mark.parametrize(
    ("gops", "message"),
    [
        ([[C, D, P, P]], "sound packet from sample 3, expected 4.."),
        ([[C, D, P], [C, D, P]], "GOP 1 at byte 59: sound from sample 3, expected more than 3"),
        ([[C, D, P], [C, D], [C, D, P]], "GOP 2 at byte 75: sound from sample 3, expected more"),
        ([[P, C, D]], "sound record: type at byte 34: found sound, expected content"),
        ([[C, P, D]], "sound record: type at byte 42: found sound, expected dynamics"),
        ([[C, D], [times(7200, 0, 0), P, C, D]], "found sound, expected content"),
    ],
)
def test_places_of_sound(gops: list[list[bytes]], message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        split(stream(SOUND, gops))


def test_sound_without_a_track() -> None:
    with pytest.raises(MalformedError, match="found sound, expected content"):
        split(stream(PLAIN, [[C, D, P]]))


def test_more_packets_than_a_gop_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("bitstream.sound", "bitstream.sound_record"):
        monkeypatch.setattr(f"{module}.MAX_GOP_PACKETS", 6)
    two = [C, D, *(record(4, signed(3 * i) + b"\x03\x01\xaa\x02\xbb\x02\xcc") for i in range(2))]
    ((gop,), third) = split(stream(SOUND, [two]))[1], record(4, signed(6) + b"\x03\x01\xaa")
    assert [packet.start for packet in gop.sound] == list(range(6))
    with pytest.raises(MalformedError, match="found one more, expected at most 6 a GOP"):
        split(stream(SOUND, [[*two, third]]))
    with pytest.raises(ValueError, match="7 sound packets, expected at most 6"):
        replace(gop, sound=(*gop.sound, SoundPacket(6, 1, b"a")))


def test_the_most_packets_of_a_gop() -> None:
    assert (MAX_GOP_PACKETS, MAX_PACKET_BYTES) == (2**20, 2**26 - 17)


@pytest.mark.parametrize(
    ("gops", "message"),
    [
        ([[record(5, ""), C, D]], "times record: start at byte 23: found 0 bytes before the end"),
        ([[record(5, "00"), C, D]], "duration at byte 24: found 0 bytes before the end"),
        ([[times(0, 0), C, D]], "GOP 0 at byte [0-9]+: times of 1 frames, expected 2"),
        ([[times(0, 0, 0, 0), C, D]], "GOP 0 at byte [0-9]+: times of 3 frames, expected 2"),
        ([[times(0, *[0] * 129), C, D]], "frame at byte 153: found one more, expected at most 128"),
        ([[times(0, -3600, 0), C, D]], "duration at byte 24: found 0 ticks, expected 1..10995116"),
        ([[times(0, 0, -3600), C, D]], "duration at byte 25: found 0 ticks, expected"),
        ([[times(0, 2**40 - 3599, 0), C, D]], "duration at byte 24: found 1099511627777 ticks"),
        ([[times(2**53, 0, 0), C, D]], "start at byte 23: found 9007199254740992, expected at"),
        ([[times(1, 0, 0), C, D]], "GOP 0 at byte 22: times of the first GOP from tick 1, exp"),
        ([[times(0, 0, 0), C, D], [times(3600, 0, 0), C, D]], "first frame at tick 3600, expected"),
        ([[C, D], [times(3600, 0, 0), C, D]], "first frame at tick 3600, expected more than 3600"),
        ([[times(0, 3600, 0), C, D], [C, D]], "first frame at tick 7200, expected more than 7200"),
        ([[times(0, 0, 0), times(0, 0, 0), C, D]], "found times, expected content"),
        ([[C, times(0, 0, 0), D]], "times record: type at byte 30: found times, expected dynamics"),
        ([[C, D, times(7200, 0, 0)]], "end record: type at byte [0-9]+: found end, expected cont"),
    ],
)
def test_times_values(gops: list[list[bytes]], message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        split(stream(PLAIN, gops))


def test_times_may_leave_a_gap_or_cut_the_last_frame_short() -> None:
    for start in (3601, 10**6):
        gops = split(stream(PLAIN, [[C, D], [times(start, 0, 0), C, D]]))[1]
        assert gops[1].times == (start, start + 3600, start + 7200)


def test_frames_faster_than_ticks_share_them_where_no_gop_has_times() -> None:
    header = Header(b"abcd", 640, 360, Fraction(10**6), Colour(1, False))
    gop = Gop(1, False, 1, b"", (Segment(0, 1, b""),))
    assert split(join(header, [gop] * 4)) == (header, [gop] * 4)


NINE = [[C, D]] * 9
ENTRY = "1001"  # 16 bytes, 2 frames


@pytest.mark.parametrize(
    ("gops", "index", "message"),
    [
        (NINE, b"", "end record: type at byte 166: found end, expected index"),
        (NINE[:8], record(6, ENTRY * 8), "index record: type at byte 150: found index, expected"),
        (NINE[:1], record(6, ENTRY), "index record: type at byte 38: found index, expected end"),
        (NINE, record(6, ENTRY * 8), "entry at byte 184: found the end, expected 10"),
        (NINE, record(6, ENTRY * 10), "entry at byte 186: found 10, expected the end"),
        (NINE, record(6, "1101 0f01" + ENTRY * 7), "entry at byte 168: found 11, expected 10"),
        (NINE, record(6, "1002 1000" + ENTRY * 7), "entry at byte 169: found 02, expected 01"),
        (NINE, record(6, "9000 01" + ENTRY * 8), "entry at byte 168: found 90, expected 10"),
        (NINE, record(6, ENTRY * 9) * 2, "index record: type at byte 190: found index, expected e"),
        (NINE, record(7, ENTRY * 9), "type-7 record at byte 166: reserved, expected a content re"),
    ],
)
def test_index_values(gops: list[list[bytes]], index: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        split(stream(PLAIN, gops, index=index))


@pytest.mark.parametrize(
    ("gops", "end", "message"),
    [
        (NINE[:1], "01 02", "distance to the index at byte 41: found 0 bytes before the end"),
        (NINE[:1], "01 02 01000000", "distance to the index at byte 41: found 1, expected 0"),
        (NINE[:1], "01 02 00000000 00", "end record: record at byte 45: found further bytes"),
        (NINE, "09 12 00000000", "distance to the index at byte 193: found 0, expected 35"),
        (NINE, "09 12 24000000", "distance to the index at byte 193: found 36, expected 35"),
        (NINE, "0a 12 23000000", "number of GOPs at byte 191: found 10, expected 9 as read"),
    ],
)
def test_end_values(gops: list[list[bytes]], end: str, message: str) -> None:
    data = stream(PLAIN, gops)
    whole = data[: -len(record(3, "01 02 00000000"))] + record(3, end)
    with pytest.raises(MalformedError, match=message):
        split(whole)


@pytest.mark.parametrize("kind", [4, 5, 6, 7])
def test_version_1_has_no_further_types(kind: int) -> None:
    data = b"DSZ\x01" + record(0, PICTURE, b"DSZ\x01") + C + D + record(kind, "00")
    with pytest.raises(MalformedError, match=f"type-{kind} record at byte 37: reserved"):
        split(data)


def test_version_1_has_no_index_and_no_distance() -> None:
    head = b"DSZ\x01" + record(0, PICTURE, b"DSZ\x01")
    assert len(split(head + (C + D) * 20 + record(3, "14 28"))[1]) == 20
    with pytest.raises(MalformedError, match=r"end record: record at byte \d+: found further"):
        split(head + C + D + record(3, "01 02 00000000"))
    with pytest.raises(MalformedError, match="header record: record at byte 17: found further"):
        split(b"DSZ\x01" + record(0, PLAIN, b"DSZ\x01") + C + D + record(3, "01 02"))


def gop(**options: object) -> Gop:
    return Gop(1, False, 1, b"", (Segment(0, 1, b""),), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gops", "message"),
    [
        ([gop(times=(1, 2))], "times of the first GOP from tick 1, expected 0"),
        ([gop(times=(0, 5)), gop(times=(0, 9))], "first frame at tick 0, expected more than 0"),
        ([gop(), gop(), gop(times=(3600, 3601))], "at tick 3600, expected more than 3600"),
        (
            [gop(), gop(times=(9000, 9001)), gop()],
            "first frame at tick 7200, expected more than 9000",
        ),
        (
            [gop(sound=(SoundPacket(5, 9, b"a"),)), gop(), gop(sound=(SoundPacket(5, 9, b"a"),))],
            "sound from sample 5, expected more than 5",
        ),
    ],
)
def test_writer_refuses_gops_that_do_not_go_forward(gops: list[Gop], message: str) -> None:
    track = SoundTrack("opus", 48000, 2)
    header = Header(b"abcd", 64, 64, Fraction(25), Colour(1, False), sound=track)
    sink = BytesIO()
    writer = StreamWriter(sink, header)
    for one in gops[:-1]:
        writer.write_gop(one)
    with pytest.raises(ValueError, match=message):
        writer.write_gop(gops[-1])
    if len(gops) > 1:
        writer.finish()
        assert split(sink.getvalue()) == (header, gops[:-1]), "the refused GOP left no trace"


def test_writer_refuses_sound_without_a_track() -> None:
    header = Header(b"abcd", 64, 64, Fraction(25), Colour(1, False))
    with pytest.raises(ValueError, match="expected none without a sound track"):
        join(header, [gop(sound=(SoundPacket(0, 1, b"a"),))])


def test_damage_anywhere_in_a_full_stream_names_the_place() -> None:
    data, _, _ = everything()
    for position in range(4, len(data), 7):
        damaged = bytearray(data)
        damaged[position] ^= 0x10
        with pytest.raises(BitstreamError, match=r"(GOP \d+|stream|signature|form).* byte \d+"):
            split(bytes(damaged))
