"""Open clips: latents as arrays, what they cost, and streams with changed ones."""

from __future__ import annotations

import gc
import importlib.util
import io
import math
import re
import weakref
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import bitstream
import dsaecodec
from bitstream import BitstreamError, MalformedError, Segment, SoundPacket, SoundTrack
from dsaecodec import Clip, ClipGop
from dsaecodec.codec import verify_stream
from dsaecodec.codec.symbols import SymbolDigest
from dsaecodec.draw import moving_layers
from dsaecodec.errors import ConfigError, ModelError, OutputError
from dsaecodec.model_io import load_model
from dsaecodec.model_store import find_model
from tests import referee
from tests.pans import pan
from tests.test_architecture import HEAVY, loaded_by

DOCS = Path(__file__).parents[1] / "docs"
LIMIT = 2**20


def encoded(model: str) -> bytes:
    """GOPs of 1, 4, 4 and 2 frames, of which the later ones refer back and are predicted."""
    return dsaecodec.encode(pan(11, 37, 52, 4), quality=70, gop=4, device="cpu", model=model)


@pytest.fixture(scope="module")
def data() -> bytes:
    return encoded("natural")


@pytest.fixture(scope="module")
def clip(data: bytes) -> Clip:
    return dsaecodec.open(data, device="cpu")


def segmented(gop: ClipGop, *lengths: int) -> ClipGop:
    """The GOP with its symbols coded in segments of these lengths."""
    starts = np.cumsum([0, *lengths]).tolist()
    segments = tuple(Segment(s, n, b"") for s, n in zip(starts, lengths, strict=False))
    return replace(gop, coded=replace(gop.coded, segments=segments)).replace(
        z_symbols=gop.z_symbols
    )


def some_symbols(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Mostly small integers, some large, and both ends of the range."""
    rng = np.random.default_rng(seed)
    scale = rng.choice([0.3, 3.0, 500.0], size=shape, p=[0.9, 0.08, 0.02])
    symbols = np.round(rng.laplace(0, scale)).astype(np.int32)
    symbols.reshape(-1)[:2] = -LIMIT, LIMIT
    return symbols


def digest(gops) -> str:
    """What `verify` must print for these GOPs, each a (f_motion, f_hyper, f, [z of a segment])."""
    sha = SymbolDigest()
    for motion, hyper, f, segments in gops:
        sha.update(*map(torch.tensor, (motion, hyper, f, *segments)))
    return sha.hexdigest()


def verified(data: bytes) -> str:
    return verify_stream(io.BytesIO(data), device="cpu").symbols


def test_what_is_open_says_what_it_is(clip, data):
    header, gops = bitstream.split(data)
    assert clip.header == header and [g.coded for g in clip.gops] == gops
    assert (clip.width, clip.height, clip.fps) == (52, 37, 25)
    assert bytes.fromhex(clip.model) == header.model
    assert len(clip) == clip.num_frames == 11
    assert [g.num_frames for g in clip.gops] == [1, 4, 4, 2]
    assert [g.first_frame for g in clip.gops] == [0, 1, 5, 9]
    assert [g.refs_previous for g in clip.gops] == [False, True, True, True]
    qualities = [g.quality for g in clip.gops]
    assert qualities == [70, 62, 62, 62]  # four frames lean on a content, or two
    assert "11 frames" in repr(clip) and "frames 5 to 8" in repr(clip.gops[2])


def test_opening_needs_no_torch(golden):
    code = f"import dsaecodec; assert len(dsaecodec.open({str(golden)!r}).gops) == 3"
    assert loaded_by(code).isdisjoint(HEAVY)


@pytest.mark.parametrize("name", ["golden", "golden_compact"])
def test_symbols_are_those_of_the_stream(name, request):
    path = request.getfixturevalue(name)
    clip = dsaecodec.open(path, device="cpu")
    found = digest(
        (g.f_motion_symbols, g.f_hyper_symbols, g.f_symbols, [g.z_symbols]) for g in clip.gops
    )
    assert found == verified(path.read_bytes())


def test_frames_in_any_order_are_those_of_decode(clip, data):
    expected = list(dsaecodec.decode(data, device="cpu"))
    order = np.random.default_rng(0).permutation(11)
    assert all(np.array_equal(clip[i], expected[i]) for i in order)
    for frames in (clip, clip.frames()):
        assert all(np.array_equal(a, b) for a, b in zip(frames, expected, strict=True))
    assert np.array_equal(clip[-2], expected[9])
    for index in (11, -12):
        with pytest.raises(IndexError, match="11"):
            clip.frame(index)


def test_frames_are_the_callers_and_latents_are_not(clip):
    before = clip[3].copy()
    clip[3][:] = 0
    assert np.array_equal(clip[3], before)
    gop = clip.gops[1]
    symbols = ("f_symbols", "f_hyper_symbols", "f_motion_symbols", "z_symbols")
    for name in (*symbols, "f_hat", "z_hat", "f_bits", "f_motion_bits", "z_bits"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(gop, name)[:] = 0
    edited = gop.z_symbols.copy()
    new = gop.replace(z_symbols=edited)
    edited[:] = 7
    assert np.array_equal(new.z_symbols, gop.z_symbols)


def test_dequantized_is_symbols_times_steps(clip):
    model = load_model(device="cpu", identity=clip.header.model).model
    gop = clip.gops[2]
    expected_of = {"f_steps": model.f_steps, "z_steps": model.z_steps}
    for name, of_quality in expected_of.items():
        steps, expected = getattr(gop, name), of_quality(gop.quality)
        assert np.array_equal(steps, expected[0].numpy())
    for hat, symbols, steps in [
        (gop.f_hat, gop.f_symbols, gop.f_steps),
        (gop.z_hat, gop.z_symbols, gop.z_steps),
    ]:
        assert hat.dtype == steps.dtype == np.float32 and symbols.any()
        assert np.array_equal(hat, symbols.astype(np.float32) * steps)
        assert np.array_equal(np.rint(hat / steps).astype(int), symbols)


def records_and_bits(gop: ClipGop):
    """(coder bytes, bits of their symbols) of each record."""
    yield gop.coded.content, gop.f_bits.sum() + gop.f_hyper_bits.sum() + gop.f_motion_bits.sum()
    for s in gop.coded.segments:
        yield s.payload, gop.z_bits[s.first : s.first + s.num_frames].sum()


def test_bits_are_those_of_the_file(clip):
    escaped = clip.gops[1].replace(z_symbols=some_symbols(1, clip.gops[1].z_symbols.shape))
    for gop in (*clip.gops, segmented(clip.gops[2], 1, 3), escaped):
        for payload, bits in records_and_bits(gop):
            assert bits / 8 - 1 < len(payload) <= 1.01 * bits / 8 + 4


class PlainTables:
    """Code lengths from a model file's frequencies and the specification, a symbol at a time."""

    def __init__(self, path: Path) -> None:
        tensors = load_file(path)
        self.half_widths = tensors["tables.half_widths"].tolist()
        stops = np.cumsum([2 * m + 2 for m in self.half_widths])
        self.tables = np.split(tensors["tables.frequencies"], stops[:-1])

    def bits(self, symbol: int, mean: int, scale: int) -> float:
        n, r = divmod(mean + 2, 4)
        table, value = 4 * scale + r, symbol - n
        m = self.half_widths[table]
        if abs(value) <= m:
            return 24 - math.log2(self.tables[table][value + m])
        return 24 - math.log2(self.tables[table][-1]) + 2 * len(f"{abs(value) - m:b}")

    def listen(self, symbols: np.ndarray, bits: np.ndarray):
        """An exchange of the referee that knows the symbols [C, h, w] and fills in their bits."""

        def exchange(mean, index, cells):
            for i, (y, x) in enumerate(cells):
                for c in range(len(symbols)):
                    bits[c, y, x] = self.bits(int(symbols[c, y, x]), mean[c, i], index[c, i])
            return np.stack([symbols[:, y, x] for y, x in cells], 1)

        return exchange


def bits_of_motion(judge, tables, gop):
    motion = gop.f_motion_symbols.astype(np.int64)
    if judge.is_precise:
        fineness = next(n for n in (0, 1, 2) if not (motion % 2 ** (2 - n)).any())
        symbols, bits = motion // 2 ** (2 - fineness), np.zeros(motion.shape)
        judge.motion(motion.shape[1:], gop.quality, fineness, tables.listen(symbols, bits))
        return bits
    zeros = np.zeros_like(gop.z_symbols[0], np.int64)
    half, bits, hidden = zeros.copy(), np.zeros(zeros.shape), np.zeros((32, *zeros.shape[1:]))
    half[2:4] = motion
    state = (zeros, zeros, hidden.astype(np.int64))
    judge.dynamics(state, gop.quality, (0, 1, True), tables.listen(half, bits))
    return bits[2:4]


@pytest.mark.parametrize("model", ["natural", "natural-7"])
def test_bits_equal_a_plain_computation(model):
    """By the referee's priors and the stored frequencies; with escapes, at an odd grid."""
    clip = dsaecodec.open(encoded(model), device="cpu")
    path = find_model(None, clip.header.model)
    judge, tables = referee.Referee(path), PlainTables(path)
    gop = clip.gops[3]
    quality = gop.quality
    z, f = gop.z_symbols.astype(np.int64), gop.f_symbols.astype(np.int64)
    hyper = gop.f_hyper_symbols.astype(np.int64)
    z[0, 7, 1, 2], z[1, 0, 2, 0], f[5, 0, 3], hyper[2, 0, 1] = 40_000, -900, 12_345, -2_345
    gop = gop.replace(z_symbols=z, f_symbols=f, f_hyper_symbols=hyper)
    f_bits, z_bits = np.zeros(f.shape), np.zeros(z.shape)
    judge.content(hyper, f.shape[1:], quality, tables.listen(f, f_bits), predicted=gop.predicted)
    motion = gop.f_motion_symbols.astype(np.int64)
    assert gop.predicted and motion.shape == (2, *f.shape[1:])
    assert np.allclose(gop.f_motion_bits, bits_of_motion(judge, tables, gop), rtol=1e-12, atol=0)
    previous, before, hidden = judge.steady(motion)
    for t in range(len(z)):
        place = (t, len(z), True)
        listen = tables.listen(judge.lifted(z[t], quality, place), z_bits[t])
        coded, hidden = judge.dynamics((previous, before, hidden), quality, place, listen)
        before, previous = previous, coded
    assert np.allclose(gop.f_bits, f_bits, rtol=1e-12, atol=0)
    assert np.allclose(gop.z_bits, z_bits, rtol=1e-12, atol=0)
    hyper_bits = np.zeros(hyper.shape)
    judge.hyper(hyper.shape[1:], quality, tables.listen(hyper, hyper_bits), predicted=True)
    assert np.allclose(gop.f_hyper_bits, hyper_bits, rtol=1e-12, atol=0)


def test_unchanged_symbols_make_the_same_bytes(clip, data):
    again = [
        g.replace(f_symbols=g.f_symbols, f_hyper_symbols=g.f_hyper_symbols, z_symbols=g.z_symbols)
        for g in clip.gops
    ]
    assert again == list(clip.gops)
    assert clip.to_bytes(again) == clip.to_bytes() == data


@pytest.mark.parametrize("name", ["golden", "golden_compact"])
def test_golden_streams_are_written_back(name, request):
    """Record for record; older versions become the current one."""
    old = request.getfixturevalue(name).read_bytes()
    clip = dsaecodec.open(old, device="cpu")
    gops = [g.replace(z_symbols=g.z_symbols, f_symbols=g.f_symbols) for g in clip.gops]
    assert bitstream.split(clip.to_bytes(gops)) == bitstream.split(old)


def test_changed_symbols_are_in_the_file(clip):
    """Of each latent alone and all together; what was not changed keeps its bytes."""
    first, gop, *_ = clip.gops
    f, hyper, z = (
        some_symbols(i, s.shape)
        for i, s in enumerate((gop.f_symbols, gop.f_hyper_symbols, gop.z_symbols))
    )
    head = first.f_motion_symbols, first.f_hyper_symbols, first.f_symbols, [first.z_symbols]
    old = gop.f_hyper_symbols, gop.f_symbols, gop.z_symbols
    for edit, new in [
        ({"f_symbols": f}, (old[0], f, old[2])),
        ({"f_hyper_symbols": hyper}, (hyper, old[1], old[2])),
        ({"z_symbols": z}, (*old[:2], z)),
        ({"f_symbols": f, "f_hyper_symbols": hyper, "z_symbols": z}, (hyper, f, z)),
    ]:
        edited = gop.replace(**edit)
        same = (
            edited.coded.content == gop.coded.content,
            edited.coded.segments == gop.coded.segments,
        )
        assert same == ("z_symbols" in edit and len(edit) == 1, "z_symbols" not in edit)
        got = edited.f_hyper_symbols, edited.f_symbols, edited.z_symbols
        assert all(map(np.array_equal, got, new))
        tail = gop.f_motion_symbols, *new[:2], [new[2]]
        assert verified(clip.to_bytes([first, edited])) == digest([head, tail])


def test_the_original_is_left_alone(clip, data):
    gop = clip.gops[1]
    edited = gop.replace(z_symbols=np.zeros_like(gop.z_symbols))
    assert edited != gop and edited.refs_previous and edited.quality == gop.quality
    assert edited.first_frame == 1 and edited.num_frames == 4
    assert clip.to_bytes() == data


def test_segments_keep_their_boundaries(clip, data):
    """And their meaning: the prior begins anew, the pictures do not care."""
    gop = clip.gops[2]
    split = segmented(gop, 1, 3)
    assert np.array_equal(split.z_symbols, gop.z_symbols)
    assert np.array_equal(split.z_bits[0], gop.z_bits[0])
    assert not np.array_equal(split.z_bits[1], gop.z_bits[1])
    rest = some_symbols(5, gop.z_symbols.shape)
    edited = split.replace(z_symbols=rest)
    assert [(s.first, s.num_frames) for s in edited.coded.segments] == [(0, 1), (1, 3)]
    assert np.array_equal(edited.z_symbols, rest)
    stream = clip.to_bytes([*clip.gops[:2], split, clip.gops[3]])
    expected = list(dsaecodec.decode(data, device="cpu"))
    for frames in (dsaecodec.decode(stream, device="cpu"), dsaecodec.open(stream, device="cpu")):
        assert all(np.array_equal(a, b) for a, b in zip(frames, expected, strict=True))


def test_content_reaches_as_far_as_contents_are_predicted(clip):
    f = clip.gops[1].f_symbols.copy()
    f[0] += 40
    gops = list(clip.gops)
    gops[1] = gops[1].replace(f_symbols=f)
    edited = dsaecodec.open(clip.to_bytes(gops), device="cpu")
    changed = [not np.array_equal(a, b) for a, b in zip(clip, edited, strict=True)]
    assert [gop.predicted for gop in gops] == [False, True, True, True]
    assert changed == [False] + [True] * 10
    assert np.array_equal(gops[2].frame(1, before=gops[:2]), edited[6])
    assert np.array_equal(gops[2].frame(1, before=clip.gops[:2]), clip[6])
    with pytest.raises(MalformedError, match="GOP 2: content: predicted from the GOP before"):
        gops[2].frame(1, before=gops[1:2])


def test_content_that_stands_alone_reaches_the_next_gop_and_no_further(golden):
    """Frames of older models refer to two contents, none of which is predicted."""
    short = dsaecodec.open(golden, device="cpu").gops
    with dsaecodec.open(golden, device="cpu") as opened:
        clip = dsaecodec.open(opened.to_bytes([*short, *short[1:]]), device="cpu")
    gops = list(clip.gops)
    assert not any(gop.predicted for gop in gops) and all(gop.refs_previous for gop in gops[1:])
    f = gops[1].f_symbols.copy()
    f[0] += 40
    gops[1] = gops[1].replace(f_symbols=f)
    edited = dsaecodec.open(clip.to_bytes(gops), device="cpu")
    same = [np.array_equal(clip[g.first_frame], edited[g.first_frame]) for g in gops]
    assert same == [True, False, False, True, True]
    assert np.array_equal(gops[2].frame(0, before=gops[1]), edited[gops[2].first_frame])


def test_a_gop_alone_says_what_its_frames_need(clip):
    with pytest.raises(ValueError, match=r"GOP 2: .* the GOP before"):
        clip.gops[2].frame(0)
    with pytest.raises(IndexError, match="4"):
        clip.gops[2].frame(4, before=clip.gops[1])
    assert np.array_equal(clip.gops[0].frame(0), clip[0])


def test_gops_of_another_clip(clip):
    """Content of one clip, dynamics of another; only size and weights must agree."""
    frames = moving_layers(11, 37, 52, 9)
    other = dsaecodec.open(dsaecodec.encode(frames, quality=70, gop=4), device="cpu")
    a, b = clip.gops[1], other.gops[1]
    mixed = a.replace(z_symbols=b.z_symbols)
    assert np.array_equal(mixed.z_symbols, b.z_symbols)
    assert mixed.coded.content == a.coded.content
    stream = clip.to_bytes([other.gops[0], mixed, other.gops[2]])
    assert len(list(dsaecodec.decode(stream, device="cpu"))) == 9
    smaller = dsaecodec.open(dsaecodec.encode(moving_layers(1, 37, 51, 9)), device="cpu")
    with pytest.raises(ValueError, match=r"GOP 1: 51x37.*expected 52x37"):
        clip.to_bytes([clip.gops[0], smaller.gops[0]])
    with pytest.raises(ValueError, match="first GOP"):
        clip.to_bytes(clip.gops[1:])


def test_times_and_sound_are_carried_over(clip):
    track = SoundTrack("opus", 48_000, 2, b"setup")
    header = replace(clip.header, sample_aspect=Fraction(4, 3), sound=track)
    ticks = [3600 * t + t * t for t in range(12)]
    gops = [
        replace(
            gop.coded,
            times=tuple(ticks[gop.first_frame : gop.first_frame + gop.num_frames + 1]),
            sound=(SoundPacket(960 * gop.first_frame - 312, 960, bytes([gop.first_frame])),),
        )
        for gop in clip.gops
    ]
    stream = bitstream.join(header, gops)
    full = dsaecodec.open(stream, device="cpu")
    assert full.to_bytes() == stream
    edited = [
        gop.replace(
            f_symbols=np.zeros_like(gop.f_symbols), z_symbols=some_symbols(2, gop.z_symbols.shape)
        )
        for gop in full.gops
    ]
    new_header, new = bitstream.split(full.to_bytes(edited))
    assert new_header == header
    assert [(g.times, g.sound) for g in new] == [(g.times, g.sound) for g in gops]
    assert all(a.content != b.content for a, b in zip(new, gops, strict=True))
    with pytest.raises(ValueError, match="tick"):
        full.to_bytes([full.gops[i] for i in (0, 2, 1)])


@pytest.mark.parametrize("name", ["f_symbols", "f_hyper_symbols", "z_symbols"])
def test_symbols_that_do_not_fit_are_refused(clip, name):
    gop = clip.gops[1]
    symbols = getattr(gop, name)
    shape = re.escape(str(list(symbols.shape)))
    for wrong in (symbols[..., :-1], symbols[:1], symbols.astype(float), symbols > 0, 3):
        with pytest.raises(ValueError, match=f"{name}: .*expected integers {shape}"):
            gop.replace(**{name: wrong})
    for value in (LIMIT + 1, -LIMIT - 1, -(2**31)):
        large = symbols.copy()
        large.flat[5] = value
        with pytest.raises(ValueError, match=f"{name}: .*{value}.*expected .*1048576"):
            gop.replace(**{name: large})


def test_writing_replaces_nothing_unasked(clip, data, tmp_path):
    path = tmp_path / "clip.dsz"
    clip.write(path)
    assert path.read_bytes() == data
    with pytest.raises(OutputError, match="exists"):
        clip.write(path, clip.gops[:1])
    assert path.read_bytes() == data
    clip.write(path, clip.gops[:1], overwrite=True)
    assert [g.coded for g in dsaecodec.open(path).gops] == [clip.gops[0].coded]


def test_damage_is_told_on_opening(data, tmp_path):
    path = tmp_path / "clip.dsz"
    path.write_bytes(data[:60] + bytes([data[60] ^ 4]) + data[61:])
    with pytest.raises(BitstreamError, match=re.escape(str(path))):
        dsaecodec.open(path)
    with pytest.raises(BitstreamError, match=r"no-such.dsz: cannot be read"):
        dsaecodec.open(tmp_path / "no-such.dsz")


def test_only_the_gops_needed_are_decoded(clip, tmp_path):
    """Coder bytes that no encoder makes are told where they are used, and only there."""
    gops = [g.coded for g in clip.gops]
    gops[1] = replace(gops[1], segments=(Segment(0, 4, b"\xff" * 40),))
    path = tmp_path / "clip.dsz"
    path.write_bytes(bitstream.join(clip.header, gops))
    with dsaecodec.open(path, device="cpu") as broken:
        assert all(np.array_equal(broken[i], clip[i]) for i in (0, 5, 8, 10))
        for use in (lambda: broken[2], lambda: broken.gops[1].z_bits):
            with pytest.raises(MalformedError, match=r"clip.dsz: GOP 1: coder bytes"):
                use()


def test_other_weights_are_named_on_first_use(clip):
    header = replace(clip.header, model=b"\1\2\3\4")
    other = dsaecodec.open(bitstream.join(header, [g.coded for g in clip.gops]), device="cpu")
    assert other.model == "01020304"
    with pytest.raises(ModelError, match="01020304"):
        _ = other.gops[0].f_symbols
    with pytest.raises(ModelError, match="01020304"):
        _ = dsaecodec.open(other.to_bytes(), model="natural")[0]
    with pytest.raises(ModelError, match="no-such-model"):
        _ = dsaecodec.open(clip.to_bytes(), model="no-such-model")[0]


@pytest.mark.parametrize("options", [{"threads": 0}, {"device": "abacus"}])
def test_options_are_heard(data, options):
    with pytest.raises(ConfigError, match=str(*options.values())):
        _ = dsaecodec.open(data, **options)[0]


def test_few_gops_are_kept_and_closing_frees_them(data):
    kept = []
    with dsaecodec.open(data, device="cpu") as clip:
        for gop in clip.gops:
            kept.append(weakref.ref(gop.z_symbols))
        gc.collect()
        assert [ref() is not None for ref in kept] == [False, False, True, True]
        assert clip.gops[3].z_symbols is clip.gops[3].z_symbols
    gc.collect()
    assert all(ref() is None for ref in kept)
    assert clip[0].shape == (37, 52, 3)  # decoded anew


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("latents", DOCS / "examples" / "latents.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_does_what_it_says(example, tmp_path, capsys):
    example.main(["-o", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 9 + 2 and lines[1].split()[0] == "0" and "dB" in lines[-1]
    still = dsaecodec.open(tmp_path / "still.dsz", device="cpu")
    drawn = dsaecodec.encode(list(moving_layers(9, 96, 128, seed=1)), quality=50, gop=8)
    source = dsaecodec.open(drawn, device="cpu").gops
    assert [g.num_frames for g in still.gops] == [g.num_frames for g in source]
    assert len(source) > 1 and max(g.num_frames for g in source) > 1
    for gop in still.gops:
        frames = [still[gop.first_frame + t] for t in range(gop.num_frames)]
        assert all(np.array_equal(frame, frames[0]) for frame in frames)
    bare = dsaecodec.open(tmp_path / "without_residual.dsz", device="cpu")
    assert all(not g.z_symbols[:, 5:].any() and g.z_symbols[1:].any() for g in bare.gops[1:])


def test_the_example_takes_a_clip(example, golden, tmp_path, capsys):
    example.main([str(golden), "-o", str(tmp_path)])
    printed = capsys.readouterr().out.splitlines()[1:8]
    clip = dsaecodec.open(golden, device="cpu")
    totals = [sum(map(float, line.split()[1:])) for line in printed]
    expected = sum(bits for g in clip.gops for _, bits in records_and_bits(g))
    assert sum(totals) == pytest.approx(expected, abs=1.5 * len(totals))


def test_the_page_shows_the_example_or_runs():
    """Each block of docs/python.md is lines of the example, or runs as it stands."""
    script = strip((DOCS / "examples" / "latents.py").read_text())
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(), re.DOTALL)
    quoted = [block for block in blocks if strip(block) in script]
    assert len(quoted) == 3 and len(blocks) == 5
    for block in blocks:
        if block not in quoted:
            exec(compile(block, "docs/python.md", "exec"), {})


def strip(code: str) -> str:
    """Code without indentation."""
    return "\n".join(line.strip() for line in code.strip().splitlines())
