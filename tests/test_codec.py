"""Whole streams: what is decoded is what was coded, in rate, size, count and symbol."""

from __future__ import annotations

import gc
import io
import itertools
import json
import math
import subprocess
import sys
import weakref
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import bitstream
import dsaecodec
from bitstream import MalformedError, SymbolCounter, SymbolDecoder
from dsaecodec.codec import Decoder, EncodeOptions, encode_video, verify_stream
from dsaecodec.codec.gop_plan import GopPlan
from dsaecodec.codec.preset import PRESETS
from dsaecodec.codec.threads import limited_threads
from dsaecodec.draw import moving_layers
from dsaecodec.errors import ConfigError, InputVideoError, ModelError
from dsaecodec.metrics import mean_rgb_psnr_db
from dsaecodec.model_io import LoadedModel, load_model
from dsaecodec.spatial import content_encoder
from dsaecodec.spatial.gop_coder import code_content, code_dynamics, fixed, fixed_content
from dsaecodec.spatial.gop_encoder import MIN_GOP, SpatialGopEncoder
from dsaecodec.spatial.kinematics import Place
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.motion_prior import FINEST
from dsaecodec.spatial.pictures import grid_size, to_frames, to_tensors
from dsaecodec.video import Frame420, VideoInfo, open_video, rgb_to_420
from tests.test_exact import record_content, record_dynamics, record_hyper, record_motion, same


def drawn(num_frames: int, height: int, width: int, seed: int = 0) -> list[Frame420]:
    return [rgb_to_420(rgb) for rgb in moving_layers(num_frames, height, width, seed)]


def encoded(frames: list[Frame420], **options) -> bytes:
    height, width = frames[0].y.shape
    sink = io.BytesIO()
    info = VideoInfo(width, height, Fraction(25))
    report = encode_video(iter(frames), info, sink, EncodeOptions(device="cpu", **options))
    assert report.bytes == len(sink.getvalue()) and report.frames == len(frames)
    return sink.getvalue()


def decoded(data: bytes) -> list[Frame420]:
    return list(Decoder(io.BytesIO(data), device="cpu"))


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model(device="cpu")


@pytest.mark.parametrize("height, width", [(1, 1), (2, 3), (17, 16), (31, 33), (64, 64), (50, 90)])
def test_every_size_comes_back(height, width):
    frames = drawn(3, height, width)
    got = decoded(encoded(frames))
    assert [f.y.shape for f in got] == [(height, width)] * 3
    assert all(a.u.shape == b.u.shape for a, b in zip(frames, got, strict=True))


@pytest.mark.parametrize("num_frames, gop, expected", [
    (1, 16, [1]), (4, 4, [4]), (5, 4, [1, 4]), (11, 4, [1, 4, 4, 2]), (4, 1, [1, 1, 1, 1]),
])  # fmt: skip
def test_gops_hold_the_frames_asked_for(num_frames, gop, expected):
    data = encoded(drawn(num_frames, 32, 32), gop=gop)
    _, gops = bitstream.split(data)
    assert [g.num_frames for g in gops] == expected
    assert [g.refs_previous for g in gops] == [False] + [True] * (len(gops) - 1)
    assert len(decoded(data)) == num_frames


def test_a_cut_begins_anew():
    shots = drawn(6, 48, 48, 1), [Frame420(255 - f.y, f.v, f.u) for f in drawn(6, 48, 48, 2)]
    _, gops = bitstream.split(encoded(shots[0] + shots[1], gop=4))
    starts = list(itertools.accumulate(g.num_frames for g in gops))
    assert 6 in starts and [g.refs_previous for g in gops][starts.index(6) + 1] is False


def test_busy_gops_are_halved_and_calm_ones_are_not():
    calm = [drawn(1, 48, 64)[0]] * 33
    _, gops = bitstream.split(encoded(calm, gop=32))
    assert [g.num_frames for g in gops] == [1, 32]
    rng = np.random.default_rng(0)
    noise = [rgb_to_420(rng.integers(0, 256, (48, 64, 3), np.uint8)) for _ in range(33)]
    data = encoded(noise, gop=32, quality=60)
    _, gops = bitstream.split(data)
    lengths = [g.num_frames for g in gops]
    assert sum(lengths) == 33 and lengths[0] == 1 and max(lengths) < 32
    assert min(g.num_frames for g in gops if g.refs_previous) >= MIN_GOP
    assert len(decoded(data)) == 33


def test_a_busy_short_shot_has_contents_at_both_ends():
    _, gops = bitstream.split(encoded(drawn(36, 64, 96)[::3]))
    assert len(gops) > 1 and gops[0].num_frames == 1
    assert all(gop.refs_previous for gop in gops[1:])


def test_threads_do_not_change_a_file():
    frames = drawn(12, 48, 64)
    files = [encoded(frames, gop=6, threads=threads) for threads in (1, 2, 3)]
    assert files[0] == files[1] == files[2]
    pixels = [
        np.concatenate([f.y for f in Decoder(io.BytesIO(files[0]), threads=threads)])
        for threads in (1, 2, 3)
    ]
    assert np.array_equal(pixels[0], pixels[1]) and np.array_equal(pixels[0], pixels[2])


def test_quality_raises_rate_and_fidelity():
    rgb = list(moving_layers(9, 96, 128, 0))
    points = []
    for quality in range(0, 101, 10):
        data = dsaecodec.encode(rgb, quality=quality, device="cpu")
        points.append((len(data), mean_rgb_psnr_db(rgb, dsaecodec.decode(data, device="cpu"))))
    for (fewer, lower), (more, higher) in itertools.pairwise(points):
        assert more > 0.98 * fewer and higher > lower - 0.1
    assert points[-1][1] - points[0][1] > 8 and points[-1][0] > 5 * points[0][0]


def test_same_bytes_on_one_or_two_threads_and_again():
    frames = drawn(10, 80, 96)
    first = encoded(frames, threads=1)
    assert first == encoded(frames, threads=1) == encoded(frames, threads=2)


def test_encode_leaves_torch_as_it_was():
    before = torch.get_num_threads()
    encoded(drawn(1, 16, 16), threads=before + 1)
    assert torch.get_num_threads() == before and torch.is_grad_enabled()


def symbols_and_ideal_bits(data: bytes, loaded: LoadedModel) -> Iterator[tuple[int, float]]:
    """(coder bytes, Σ -log2 p) of every content and dynamics payload of a stream."""
    header, gops = bitstream.split(data)
    size = grid_size(header.height, header.width)
    with limited_threads(None):
        for gop in gops:
            coder = SymbolDecoder(gop.content, loaded.tables)
            content = code_content(loaded.model, coder, size, gop.quality, None)
            counter = SymbolCounter(loaded.tables)
            code_content(loaded.model, counter, size, gop.quality, fixed_content(content))
            yield len(gop.content), counter.bits
            for segment in gop.segments:
                part = (segment.first, segment.num_frames, gop.num_frames)
                setting = (size, gop.quality, Place.of(*part, gop.refs_previous, content.motion))
                coder = SymbolDecoder(segment.payload, loaded.tables)
                z = code_dynamics(loaded.model, coder, *setting, None)
                counter = SymbolCounter(loaded.tables)
                code_dynamics(loaded.model, counter, *setting, fixed(z))
                yield len(segment.payload), counter.bits


def check_rate(data: bytes, loaded: LoadedModel) -> None:
    for payload_bytes, bits in symbols_and_ideal_bits(data, loaded):
        assert 8 * payload_bytes <= 1.01 * bits + 32
    header, gops = bitstream.split(data)
    coder_bytes = sum(len(g.content) + sum(len(s.payload) for s in g.segments) for g in gops)
    assert bitstream.overhead_bytes(header, gops) == len(data) - coder_bytes


@pytest.mark.parametrize("quality", [10, 90])
def test_payload_and_overhead_of_drawn_clips(loaded, quality):
    data = encoded(drawn(8, 64, 64), quality=quality, preset="fast")
    check_rate(data, loaded)
    summary = bitstream.scan(io.BytesIO(data))
    assert summary.compact and summary.overhead_bytes <= 16
    data = encoded(drawn(21, 48, 80), quality=quality, gop=8)
    check_rate(data, loaded)
    records = []
    bitstream.scan(io.BytesIO(data), records.append)
    for record in records:
        latents = record.kind in (bitstream.RecordType.CONTENT, bitstream.RecordType.DYNAMICS)
        assert record.overhead_bytes <= 9 or not latents


def test_payload_and_overhead_of_footage(loaded, footage):
    clips = sorted((footage / "dev").glob("*.mp4"))[:10]
    assert len(clips) == 10
    for clip in clips:
        with open_video(str(clip)) as video:
            frames = list(itertools.islice(video, 9))
        check_rate(encoded(frames, quality=40, gop=8), loaded)


def test_encoder_and_decoder_agree_on_every_symbol(loaded, monkeypatch):
    """The symbols an encoder chose are those a decoder reads, and make the same planes."""
    chosen = []
    real = content_encoder.SymbolEncoder.code

    def spy(self, table_index, symbols):
        chosen.append((np.array(table_index), np.array(symbols)))
        return real(self, table_index, symbols)

    monkeypatch.setattr(content_encoder.SymbolEncoder, "code", spy)
    whole = replace(PRESETS["medium"], halves=False)
    encoder = SpatialGopEncoder(loaded, 48, 64, 50, preset=whole)
    with limited_threads(None):
        (gop,) = encoder.encode(GopPlan(tuple(drawn(5, 48, 64)), 2, False))
        read = []

        class Spy(SymbolDecoder):
            def code(self, table_index, symbols=None):
                symbols = super().code(table_index, symbols)
                read.append((np.array(table_index), np.array(symbols)))
                return symbols

        size = grid_size(48, 64)
        content = code_content(loaded.model, Spy(gop.content, loaded.tables), size, 50, None)
        payload = gop.segments[0].payload
        code_dynamics(
            loaded.model, Spy(payload, loaded.tables), size, 50, Place.whole(5, False), None
        )
        again = content.planes(loaded.model, None, 50)
    assert len(chosen) == len(read) == 1 + 4 + 4 + 5 * 4  # whether it is predicted, f_hyper, f, z
    for (table, symbols), (same_table, same_symbols) in zip(chosen, read, strict=True):
        assert np.array_equal(table, same_table) and np.array_equal(symbols, same_symbols)
    assert torch.equal(again.picture.luma, encoder._previous.picture.luma)


class Plane(np.ndarray):
    """A plane that can be watched: arrays of NumPy's own class take no weak references."""

    __hash__ = object.__hash__


def test_memory_does_not_grow_with_the_length():
    """Frames alive at once, at the source and at the sink, stay under two GOPs."""
    one = drawn(1, 32, 32)[0]
    alive: weakref.WeakSet[Plane] = weakref.WeakSet()
    most = 0

    def source() -> Iterator[Frame420]:
        nonlocal most
        for _ in range(60):
            luma = one.y.copy().view(Plane)
            alive.add(luma)
            most = max(most, len(alive))
            yield Frame420(luma, one.u, one.v)

    sink = io.BytesIO()
    encode_video(source(), VideoInfo(32, 32, Fraction(25)), sink, EncodeOptions(gop=8))
    assert 8 <= most <= 17

    def live_frames() -> int:
        gc.collect()
        return sum(type(o) is Frame420 for o in gc.get_objects())

    before = live_frames()
    decoder = Decoder(io.BytesIO(sink.getvalue()), device="cpu")
    counts = [live_frames() - before for _ in decoder]
    assert len(counts) == 60 and max(counts) <= 9


def test_verify_reports_one_digest(golden):
    """Streams of every version are decoded for ever."""
    expected = json.loads((golden.parent / "digests.json").read_text())
    paths = sorted(golden.parent.glob("*.dsz"))
    assert [path.name for path in paths] == sorted(expected) and len(paths) == 23
    for path in paths:
        with open(path, "rb") as file:
            report = verify_stream(file, device="cpu")
        assert report.symbols == expected[path.name]["symbols"]
        assert report.frames == expected[path.name]["frames"]


@pytest.mark.parametrize(
    "name",
    [
        "v1-natural-three-gops",
        "v2-natural-everything",
        "v2-kinematic-everything",
        "v2-predicted-everything",
        "v2-fitted-everything",
        "v2-softened-everything",
        "v2-discerning-everything",
        "v2-deep-everything",
        "v2-contextual-everything",
        "v2-precise-everything",
        "v3-sprites",
        "v3-balls",
    ],
)
def test_golden_files_look_as_they_did(golden, name):
    """Pixels agree within one grey level with those of the machine that made the file."""
    reference = np.load(golden.parent / f"{name}.npz")["luma"]
    got = np.stack([f.y for f in decoded((golden.parent / f"{name}.dsz").read_bytes())])
    assert np.abs(got.astype(int) - reference).max() <= 1


def test_wrong_weights_are_named(golden):
    header, gops = bitstream.split(golden.read_bytes())
    other = bitstream.join(replace(header, model=b"\1\2\3\4"), gops)
    with pytest.raises(ModelError, match="01020304"):
        decoded(other)


@pytest.mark.parametrize("model", ["natural-1", "natural-2"])
def test_contents_of_older_models_stand_alone(model):
    """They go on encoding, too."""
    rgb = list(moving_layers(9, 48, 64, 5))
    data = dsaecodec.encode(rgb, model=model, gop=4, device="cpu")
    clip = dsaecodec.open(data, device="cpu")
    assert any(gop.refs_previous for gop in clip.gops)
    assert not any(gop.predicted for gop in clip.gops)
    assert mean_rgb_psnr_db(rgb, dsaecodec.decode(data, device="cpu")) > 25


def test_symbols_must_fill_their_payload(golden):
    """A payload that passes its CRC but is not what its symbols make is refused."""
    header, gops = bitstream.split(golden.read_bytes())
    longer = replace(gops[0], content=gops[0].content + b"\1\2\3\4\5")
    with pytest.raises(MalformedError):
        decoded(bitstream.join(header, [longer, *gops[1:]]))


@pytest.mark.parametrize(
    "options", [{"quality": -1}, {"quality": 101}, {"gop": 0}, {"gop": 129}, {"threads": 0}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError):
        encoded(drawn(1, 16, 16), **options)


def test_videos_beyond_the_format_are_refused():
    for info in (VideoInfo(16385, 16, Fraction(25)), VideoInfo(16, 16, Fraction(25))):
        with pytest.raises(InputVideoError):
            encode_video([], info, io.BytesIO(), EncodeOptions(device="cpu"))


@pytest.mark.parametrize("height, width", [(1, 1), (33, 17), (64, 64)])
def test_tensors_and_back(height, width):
    frames = drawn(2, height, width)
    got = list(to_frames(to_tensors(frames, height, width), height, width))
    assert all(
        np.array_equal(p, q)
        for a, b in zip(frames, got, strict=True)
        for p, q in zip(a.planes, b.planes, strict=True)
    )


def test_python_interface_equals_command_line(tmp_path):
    rgb = list(moving_layers(4, 48, 64, 3))
    data = dsaecodec.encode(rgb, quality=70, device="cpu")
    path = tmp_path / "clip.dsz"
    path.write_bytes(data)
    out = tmp_path / "clip.mkv"
    command = [sys.executable, "-m", "dsaecodec", "decode", path, "-o", out, "--device", "cpu"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    with open_video(str(out)) as video:
        shown = list(video)
    assert all(
        np.abs(a.y.astype(int) - b.y).max() <= 1 for a, b in zip(shown, decoded(data), strict=True)
    )
    psnr = mean_rgb_psnr_db(rgb, dsaecodec.decode(data, device="cpu"))
    assert math.isfinite(psnr) and psnr > 25


@pytest.mark.parametrize("length", [9, pytest.param(None, marks=pytest.mark.slow)])
def test_training_forward_and_exported_network_agree(footage, length):
    """float32 with straight-through rounding, as trained, against float64: every mean and index."""
    loaded = load_model(None, "cpu")
    trained = SpatialModel(loaded.model.config)
    trained.load_state_dict(loaded.model.state_dict())
    trained.train()
    for clip in sorted((footage / "dev").glob("*.mp4")):
        with open_video(str(clip)) as video:
            frames = list(itertools.islice(video, length))
        header, gops = bitstream.split(encoded(frames, quality=45, gop=8))
        size = grid_size(header.height, header.width)
        for gop in gops:
            with limited_threads(None):
                coder = SymbolDecoder(gop.content, loaded.tables)
                content = code_content(loaded.model, coder, size, gop.quality, None)
                place = Place.whole(gop.num_frames, gop.refs_previous, content.motion)
                setting = (size, gop.quality, place)
                coder = SymbolDecoder(gop.segments[0].payload, loaded.tables)
                z = code_dynamics(loaded.model, coder, *setting, None)
            hyper, f, motion, z = (x.long().numpy() for x in (*content, z[:, None]))
            known = {"predicted": content.predicted}
            assert same(
                record_hyper(loaded.model.content_prior, hyper, 45, **known),
                record_hyper(trained.content_prior.float(), hyper, 45, torch.float32, **known),
            )
            assert same(
                record_content(loaded.model.content_prior, hyper, f, 45, **known),
                record_content(trained.content_prior.float(), hyper, f, 45, **known),
            )
            known = {"motion": motion if content.predicted else None}
            if content.predicted:
                assert same(
                    record_motion(loaded.model.motion_prior, motion, FINEST),
                    record_motion(trained.motion_prior.float(), motion, FINEST, torch.float32),
                )
            assert same(
                record_dynamics(loaded.model.dynamics_prior, z, 45, gop.refs_previous, **known),
                record_dynamics(trained.dynamics_prior.float(), z, 45, gop.refs_previous, **known),
            )


def test_paths_are_accepted(tmp_path, golden):
    path = Path(tmp_path, "x.dsz")
    path.write_bytes(golden.read_bytes())
    assert next(dsaecodec.decode(path, device="cpu")).dtype == np.uint8
