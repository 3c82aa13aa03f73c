"""Sound: found in files, coded or copied, laid beside the picture, put back into files."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from bitstream.sound import SoundPacket, SoundTrack, check_packets
from dsaecodec.errors import OutputError, UsageError
from dsaecodec.video import Frame420, VideoInfo, VideoWriter
from dsaecodec.video.sound import open_sound
from dsaecodec.video.sound_stream import CODECS
from dsaecodec.video.sound_timeline import Timeline
from tests.sound_clips import BURSTS, LAYOUTS, SECONDS, Clip, Signal, heard, lag_ms, picture_start

SOURCES = [
    Clip("aac", ".mp4", 44100),
    Clip("aac", ".ts"),
    Clip("libmp3lame", ".mp4", 44100, 1),
    Clip("libopus", ".mkv"),
    Clip("flac", ".mkv", 44100),
    Clip("pcm_s16le", ".mov", 44100),
    Clip("pcm_s24le", ".mkv"),
    Clip("alac", ".mov", 44100, 1),
    Clip("alac", ".mkv"),
    Clip("ac3", ".mp4", 48000, 6),
]
NAMES = [f"{clip.codec}{clip.suffix}" for clip in SOURCES]


def read(path: Path, request: str) -> tuple[SoundTrack, list[SoundPacket], list[str]]:
    sound = open_sound(path, request, picture_start(path))
    assert sound is not None
    with sound:
        packets = sound.packets_until(None)
        check_packets(packets)
        return sound.track, packets, sound.notes


def decode_opus(track: SoundTrack, packets: list[SoundPacket]) -> Signal:
    """First channel by FFmpeg's decoder, each packet's samples at its own start."""
    assert (track.codec, track.sample_rate) == ("opus", 48000)
    decoder = av.AudioCodecContext.create("opus", "r")
    decoder.extradata, decoder.sample_rate = track.extradata, 48000
    out = np.zeros(packets[-1].end + 960, np.float32)
    for packet in packets:
        for frame in decoder.decode(av.Packet(packet.data)):
            block = frame.to_ndarray()[0]
            at = packet.start + 960 - len(block)  # of the first, the delay is dropped
            out[max(at, 0) : at + len(block)] = block[max(-at, 0) :]
    return out[: packets[-1].end]


def mux(
    path: Path, track: SoundTrack, packets: list[SoundPacket], num_frames: int = 75
) -> list[str]:
    """Write grey pictures, 8 frames a GOP, each GOP's sound after its first frame."""
    frame = Frame420(*(np.full(shape, 128, np.uint8) for shape in ((32, 32), (16, 16), (16, 16))))
    waiting = list(packets)
    with VideoWriter(path, VideoInfo(32, 32, Fraction(25)), sound=track) as writer:
        for index in range(num_frames):
            writer.write(frame)
            if index % 8 == 0:
                until = (index + 8) * track.sample_rate // 25
                writer.write_sound([packet for packet in waiting if packet.start < until])
                waiting = [packet for packet in waiting if packet.start >= until]
        writer.write_sound(waiting)
    return writer.notes


@pytest.mark.parametrize("clip", SOURCES, ids=NAMES)
def test_opus_is_in_time(tmp_path: Path, clip: Clip) -> None:
    track, packets, notes = read(clip.write(tmp_path), "opus:64k")
    assert track.channels == min(clip.channels, 2)
    assert ["stereo" in note for note in notes] == ([True] if clip.channels == 6 else [])
    assert packets[0].start == -312
    assert all(a.end == b.start for a, b in zip(packets, packets[1:], strict=False))
    assert packets[-1].end / 48000 == pytest.approx(SECONDS, abs=0.05)
    signal = decode_opus(track, packets)
    for begin in BURSTS:
        assert abs(lag_ms(signal, 48000, begin)) <= 1


@pytest.mark.parametrize("clip", SOURCES, ids=NAMES)
def test_copies_are_the_packets_of_the_file(tmp_path: Path, clip: Clip) -> None:
    path = clip.write(tmp_path)
    track, packets, notes = read(path, "copy")
    assert notes == []
    assert (track.sample_rate, track.channels) == (clip.rate, clip.channels)
    assert all(a.end == b.start for a, b in zip(packets, packets[1:], strict=False))
    assert packets[-1].end / clip.rate == pytest.approx(SECONDS, abs=0.09)
    with av.open(str(path)) as container:
        originals = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    if clip.suffix == ".ts":  # less the header of 7 bytes that each packet repeats
        originals = [original[7:] for original in originals]
        assert len(track.extradata) == 2
    assert [packet.data for packet in packets] == originals


QUICK = ("aac.mp4", "libopus.mkv", "pcm_s16le.mov")
SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")
IN_FILES = [
    pytest.param(clip, suffix, id=name + suffix, marks=[] if name in QUICK else pytest.mark.slow)
    for clip, name in zip(SOURCES, NAMES, strict=True)
    for suffix in SUFFIXES
]


@pytest.mark.parametrize(("clip", "suffix"), IN_FILES)
def test_sound_in_files_is_in_time(tmp_path: Path, clip: Clip, suffix: str) -> None:
    track, packets, _ = read(clip.write(tmp_path), "copy")
    path = tmp_path / f"out{suffix}"
    notes = mux(path, track, packets)
    with av.open(str(path)) as container:
        codec = container.streams.audio[0].codec_context.codec.canonical_name
        assert container.streams.video[0].start_time == 0
        assert len(list(container.decode(video=0))) == round(25 * SECONDS)
    assert codec in (track.codec, "pcm_s16le" if suffix == ".mov" else "opus")
    assert len(notes) == (codec != track.codec)
    signal, rate = heard(path)
    assert len(signal) / rate == pytest.approx(SECONDS, abs=0.05)
    for begin in BURSTS:
        assert abs(lag_ms(signal, rate, begin)) <= 2


@pytest.mark.parametrize("request_", ["opus:64k", "copy"])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_sound_that_begins_late_stays_late(tmp_path: Path, request_: str, suffix: str) -> None:
    path = Clip("aac", ".mp4", sound_start=0.5).write(tmp_path)
    track, packets, _ = read(path, request_)
    assert 0.45 < packets[0].start / 48000 <= 0.5
    out = tmp_path / f"out{suffix}"
    mux(out, track, packets)
    signal, rate = heard(out)
    for begin in BURSTS:
        assert abs(lag_ms(signal, rate, begin)) <= 2


@pytest.mark.parametrize("codec", ["aac", "flac", "pcm_s16le"])
def test_what_comes_before_the_picture_is_cut(tmp_path: Path, codec: str) -> None:
    path = Clip(codec, ".mkv", video_start=0.6).write(tmp_path)
    track, packets, _ = read(path, "opus:64k")
    assert packets[0].start == -312
    assert abs(lag_ms(np.pad(decode_opus(track, packets), (28800, 0)), 48000, 1.0)) <= 1
    track, packets, _ = read(path, "copy")
    if codec == "pcm_s16le":
        assert packets[0].start == 0
    assert -0.1 * 48000 < packets[0].start <= 0
    for suffix in (".mp4", ".mkv"):
        out = tmp_path / f"out{suffix}"
        mux(out, track, packets)
        signal, rate = heard(out)
        for begin in BURSTS:
            assert abs(lag_ms(np.pad(signal, (round(0.6 * rate), 0)), rate, begin)) <= 2


@pytest.mark.parametrize("codec", ["flac", "aac"])
def test_a_hole_becomes_silence(tmp_path: Path, codec: str) -> None:
    path = Clip(codec, ".mkv", holes=[(1.25, 1.8)]).write(tmp_path)
    track, packets, _ = read(path, "opus:64k")
    assert all(a.end == b.start for a, b in zip(packets, packets[1:], strict=False))
    signal = decode_opus(track, packets)
    assert np.abs(signal[round(1.35 * 48000) : round(1.75 * 48000)]).max() < 0.01
    for begin in BURSTS:
        assert abs(lag_ms(signal, 48000, begin)) <= 1
    _, copied, _ = read(path, "copy")
    (gap,) = [b.start - a.end for a, b in zip(copied, copied[1:], strict=False) if a.end != b.start]
    assert gap / 48000 == pytest.approx(0.55, abs=0.1)


def test_a_damaged_packet_is_silence_and_told(tmp_path: Path) -> None:
    path = Clip("flac", ".mkv").write(tmp_path)
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0)]
    data = path.read_bytes()
    for victim in (packets[13], packets[14]):  # in the first burst
        assert data.count(victim) == 1
        data = data.replace(victim, bytes(len(victim)))
    path.write_bytes(data)
    track, coded, notes = read(path, "opus:64k")
    assert len(notes) == 1 and "2 damaged" in notes[0]
    assert abs(lag_ms(decode_opus(track, coded), 48000, 2.0)) <= 1


def lay_out(*blocks: tuple[float, int, int, float]) -> Signal:
    """What a timeline makes of blocks: time, rate, channels, seconds of ones. First channel."""
    timeline, found = Timeline(1), []
    for time, rate, channels, seconds in blocks:
        ones = np.full((channels, round(seconds * rate)), 0.25, np.float32)
        frame = av.AudioFrame.from_ndarray(ones, "fltp", LAYOUTS[channels])
        frame.sample_rate = rate
        found += list(timeline.add(frame, Fraction(time)))
    return np.concatenate([*found, *timeline.finish()], axis=1)[0]


def test_a_timeline_follows_its_clock_where_that_makes_sense() -> None:
    one = 48000
    assert len(lay_out((0, one, 1, 0.5), (0.5, one, 1, 0.5))) == one
    assert len(lay_out((0, one, 1, 0.5), (0.509, one, 1, 0.5))) == one  # jitter
    gap = lay_out((0, one, 1, 0.5), (2.5, one, 1, 0.5))
    assert len(gap) == 3 * one and gap[one : 2 * one].max() == 0
    assert len(lay_out((0, one, 1, 0.5), (0.25, one, 1, 0.5))) == 0.75 * one  # overlap
    assert len(lay_out((-0.25, one, 1, 0.5), (0.25, one, 1, 0.5))) == 0.75 * one
    assert len(lay_out((100, one, 1, 0.5), (0, one, 1, 0.5), (0.5, one, 1, 0.5))) == 1.5 * one
    assert len(lay_out((0, one, 1, 0.5), (9999, one, 1, 0.5), (9999.5, one, 1, 1))) == 2 * one


def test_a_timeline_takes_another_format_at_any_time() -> None:
    signal = lay_out(
        (0, 44100, 6, 0.5), (0.5, 44100, 2, 0.5), (1, 48000, 1, 0.5), (1.5, 8000, 2, 1)
    )
    assert len(signal) == pytest.approx(2.5 * 48000, abs=50)
    assert signal[30000:110000].min() > 0.15


def test_packets_come_as_far_as_asked(tmp_path: Path) -> None:
    path = Clip("aac", ".mp4", 44100).write(tmp_path)
    for request_ in ("opus:32k", "copy"):
        track, everything, _ = read(path, request_)
        sound = open_sound(path, request_, picture_start(path))
        assert sound is not None
        with sound:
            got: list[SoundPacket] = []
            for seconds in (Fraction(0), Fraction(1, 3), Fraction(1, 3), Fraction(2)):
                more = sound.packets_until(seconds)
                assert all(packet.start < seconds * track.sample_rate for packet in more)
                got += more
                assert got == everything[: len(got)]
                assert everything[len(got)].start >= seconds * track.sample_rate
            assert got + sound.packets_until(None) == everything
            assert sound.packets_until(None) == []


def test_bitrates_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "noise.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 96000)).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48000)
        frame = av.AudioFrame.from_ndarray(noise, "fltp", "stereo")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
    for request_, kbps in (("opus:6k", 6), ("opus", 32), ("opus:96k", 96), ("opus:510k", 510)):
        sound = open_sound(path, request_, Fraction(0))
        assert sound is not None
        with sound:
            total = sum(len(packet.data) for packet in sound.packets_until(None))
        assert total * 8 / 2 / 1000 == pytest.approx(kbps, rel=0.4)


@pytest.mark.parametrize(
    "request_", ["", "opus:5k", "opus:511k", "opus:32", "mp3", "opus:k", "Copy"]
)
def test_bad_requests_are_refused(tmp_path: Path, request_: str) -> None:
    with pytest.raises(UsageError, match=r"opus:32k .*copy or none"):
        open_sound(tmp_path / "missing.mp4", request_, Fraction(0))


def test_no_sound(tmp_path: Path) -> None:
    path = Clip("aac", ".mp4", tracks=0).write(tmp_path)
    assert open_sound(path, "opus:32k", Fraction(0)) is None
    path = Clip("aac", ".mp4").write(tmp_path)
    assert open_sound(path, "none", Fraction(0)) is None
    for source in ("-", io.BytesIO(path.read_bytes())):
        assert open_sound(source, "copy", Fraction(0)) is None


def test_one_track_of_several_is_kept(tmp_path: Path) -> None:
    path = Clip("aac", ".mp4", tracks=3).write(tmp_path)
    _, _, notes = read(path, "copy")
    assert notes == ["of 3 sound tracks only number 1 is kept"]


def test_what_cannot_be_copied_is_refused(tmp_path: Path) -> None:
    path = Clip("pcm_alaw", ".mov").write(tmp_path)
    with pytest.raises(UsageError, match="pcm_alaw") as caught:
        open_sound(path, "copy", Fraction(0))
    assert caught.value.hint and "opus" in caught.value.hint
    assert len(read(path, "opus:64k")[1]) > 100


@pytest.mark.parametrize("name", ["out.y4m", "%05d.png"])
def test_what_cannot_hold_sound_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    track = SoundTrack("pcm_s16le", 48000, 1)
    (note,) = mux(tmp_path / "out" / name, track, [SoundPacket(0, 100, bytes(200))])
    assert "sound" in note


def test_the_same_sound_in_any_pieces(tmp_path: Path) -> None:
    """One packet at a time, GOPs at a time or everything at once make the same file."""
    track, packets, _ = read(Clip("libopus", ".mkv").write(tmp_path), "copy")
    files = []
    for pieces in (packets[:0], packets):
        path = tmp_path / f"{len(pieces)}.mp4"
        frame = Frame420(*(np.zeros(shape, np.uint8) for shape in ((32, 32), (16, 16), (16, 16))))
        with VideoWriter(path, VideoInfo(32, 32, Fraction(25)), sound=track) as writer:
            writer.write_sound(pieces)
            for index in range(75):
                writer.write(frame)
                if not pieces:
                    begin, end = 1920 * index - 960 * (index == 0), 1920 * (index + 1)
                    writer.write_sound([p for p in packets if begin <= p.start < end])
        with av.open(str(path)) as container:
            files.append([(p.pts, bytes(p)) for p in container.demux(audio=0) if p.size])
    assert files[0] == files[1] and len(files[0]) == len(packets)


HOSTILE = [
    pytest.param(codec, marks=[] if codec in ("aac", "opus", "nonsense") else pytest.mark.slow)
    for codec in (*CODECS, "h264", "nonsense", "wmav2", "libopus")
]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("codec", HOSTILE)
def test_hostile_sound_harms_nothing(tmp_path: Path, codec: str, suffix: str) -> None:
    rng = np.random.default_rng(sum(map(ord, codec + suffix)))
    starts = [-(2**53) + 1, -90000, -500, 0, 0, 700, 2**31, 5000, 2**53 - 1]
    for size in (0, 19, 34, 36, 300):
        setup = rng.bytes(size)
        if codec == "opus" and size > 8:
            setup = b"OpusHead" + setup[8:]
        track = SoundTrack(codec, int(rng.integers(1, 200000)), int(rng.integers(1, 256)), setup)
        packets = [
            SoundPacket(start, int(rng.integers(1, 2**20)), rng.bytes(1 + 40 * index))
            for index, start in enumerate(starts)
        ]
        path = tmp_path / f"out{size}{suffix}"
        try:
            notes = mux(path, track, packets, 9)
        except OutputError:
            assert not path.exists()
            continue
        assert notes
        with av.open(str(path)) as container:
            assert len(list(container.decode(video=0))) == 9
    assert not list(tmp_path.glob(".*"))


def test_hostile_packets_of_a_good_track(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for clip in (SOURCES[0], SOURCES[3], SOURCES[4]):
        track, packets, _ = read(clip.write(tmp_path), "copy")
        bad = [packet._replace(data=rng.bytes(len(packet.data))) for packet in packets]
        for suffix in (".mp4", ".mov", ".mkv", ".webm"):
            path = tmp_path / f"{clip.codec}{suffix}"
            mux(path, track, bad, 9)
            mux_again = replace(track, channels=7 - track.channels)
            mux(tmp_path / f"{clip.codec}7{suffix}", mux_again, packets, 9)
            with av.open(str(path)) as container:
                assert len(list(container.decode(video=0))) == 9
