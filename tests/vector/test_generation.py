"""Swapping, drawing, predicting: valid files, the priors' own distributions, one seed one file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bitstream
import dsaecodec
from bitstream import FrequencyTables
from dsaecodec.cli import main
from dsaecodec.errors import UsageError
from dsaecodec.generation import Drawer, fill, predict, sample, swap
from tests.vector.test_codec import some_frames


@pytest.fixture
def clips(models: Path):
    streams = [
        dsaecodec.encode(some_frames(count, count), model="small", quality=q)
        for count, q in ((9, 60), (7, 60), (6, 40))
    ]
    return [dsaecodec.open(stream) for stream in streams]


def test_a_swap_is_the_records_of_two_files(clips):
    a, b, _ = clips
    _, (made,) = bitstream.split(swap(a, b))
    assert made.content == a.gops[0].coded.content
    assert made.segments == b.gops[0].coded.segments
    assert swap(a, a) == a.to_bytes()


def test_a_swap_between_qualities_keeps_the_content_it_can(clips):
    a, _, c = clips
    with dsaecodec.open(swap(a, c)) as made:
        gop = made.gops[0]
        assert gop.quality == 40 and np.array_equal(gop.z_symbols, c.gops[0].z_symbols)
        step = float(gop.f_steps[0])
        assert np.abs(gop.f_hat - a.gops[0].f_hat).max() <= step / 2 + 1e-5


def test_one_seed_draws_one_file(models):
    first = sample(model="small", num_frames=20, seed=5)
    assert first == sample(model="small", num_frames=20, seed=5)
    assert first != sample(model="small", num_frames=20, seed=6)
    assert len(list(dsaecodec.decode(first))) == 20
    assert sample(num_frames=20, seed=5) == first, "the first model of the family"


def test_samples_keep_what_is_given(clips):
    a, b, _ = clips
    with dsaecodec.open(sample(content=a, seed=1)) as made:
        assert made.num_frames == 9
        assert np.array_equal(made.gops[0].f_symbols, a.gops[0].f_symbols)
    with dsaecodec.open(sample(dynamics=b, seed=1)) as made:
        assert np.array_equal(made.gops[0].z_symbols, b.gops[0].z_symbols)
    assert sample(content=a, dynamics=b) == swap(a, b)


def test_drawn_content_fits_dynamics_of_several_qualities(clips):
    a, _, c = clips
    both = bitstream.join(a.header, [a.gops[0].coded, c.gops[0].coded])
    for seed in range(4):
        with dsaecodec.open(sample(dynamics=dsaecodec.open(both), seed=seed)) as made:
            assert len(list(made)) == 15
            fine, coarse = (gop.f_hat for gop in made.gops)
            assert np.abs(fine - coarse).max() <= made.gops[1].f_steps[0] / 2 + 1e-5


def test_what_is_given_decides(clips):
    with pytest.raises(UsageError, match="their own number of frames"):
        sample(dynamics=clips[0], num_frames=4)
    with pytest.raises(UsageError, match="has its own"):
        sample(content=clips[0], model="small")


def test_the_quality_of_a_sample_is_the_one_asked_for(models):
    with dsaecodec.open(sample(model="small", num_frames=3, quality=71)) as made:
        assert made.gops[0].quality == 71


def test_a_seed_fills_a_gap_in_its_way(clips):
    found = {fill(clips[0], range(2, 7), seed=seed) for seed in range(6)}
    assert len(found) > 1 and fill(clips[0], range(2, 7)) in found


def test_colours_that_differ_are_refused():
    data = dsaecodec.encode(some_frames(2))
    header, gops = bitstream.split(data)
    assert not header.colour.is_rgb
    other = bitstream.Colour(5, not header.colour.full_range)
    assert other != header.colour
    changed = bitstream.join(replace(header, colour=other), gops)
    with pytest.raises(UsageError, match="colour of the content"):
        swap(dsaecodec.open(data), dsaecodec.open(changed))


def test_symbols_stay_within_what_can_be_coded(clips, monkeypatch):
    a = clips[0]
    large = a.gops[0].replace(f_symbols=np.full(5, -(2**20), np.int32))
    finer = dsaecodec.open(dsaecodec.encode(some_frames(4), model="small", quality=100))
    made = swap(dsaecodec.open(a.to_bytes([large])), finer)
    assert (dsaecodec.open(made).gops[0].f_symbols == -(2**20)).all()
    monkeypatch.setattr("dsaecodec.generation.SYMBOL_LIMIT", 0)
    for call in (lambda: predict(a, 3), lambda: fill(a, range(2, 3))):
        with pytest.raises(UsageError, match="no encoder wrote them"):
            call()


def test_long_samples_are_cut_into_gops(models):
    with dsaecodec.open(sample(model="small", num_frames=200)) as made:
        assert [gop.num_frames for gop in made.gops] == [128, 72]
        assert np.array_equal(made.gops[0].f_symbols, made.gops[1].f_symbols)


def test_the_drawer_draws_what_the_table_says():
    freqs = np.array([1, 2**22, 2**23, 2**22 - 5, 3, 1, 2**24 - 2, 1, 1][:6])
    freqs[5] = 2**24 - freqs[:5].sum()
    tables = FrequencyTables(freqs, [2])
    drawer = Drawer(tables, np.random.default_rng(0))
    drawn = drawer.code(np.zeros(20_000, np.uint16), None)
    share = np.bincount(drawn + 2, minlength=5) / len(drawn)
    expected = freqs[:5] / freqs[:5].sum()
    assert np.abs(share - expected).max() < 0.015
    assert (Drawer(tables, None).code(np.zeros(3, np.uint16), None) == 0).all()
    assert drawer.bits == 0
    drawer.code(np.zeros(2, np.uint16), np.zeros(2, np.int32))
    assert drawer.bits == pytest.approx(2)


def test_a_prediction_begins_with_the_clip(clips):
    a = clips[0]
    data = predict(a, 5)
    with dsaecodec.open(data) as longer:
        assert longer.num_frames == 14
        assert np.array_equal(longer.gops[0].z_symbols[:9], a.gops[0].z_symbols)
        assert np.array_equal(longer[3], a[3])
    assert data == predict(a, 5) and predict(a, 5, seed=1) == predict(a, 5, seed=1)
    with dsaecodec.open(predict(a, 150)) as longer:
        assert [gop.num_frames for gop in longer.gops] == [128, 31]


def test_a_likeliest_continuation_costs_least(clips):
    a = clips[0]
    likely = dsaecodec.open(predict(a, 4)).gops[0].z_bits[9:].sum()
    drawn = [dsaecodec.open(predict(a, 4, seed=s)).gops[0].z_bits[9:].sum() for s in range(8)]
    assert likely < np.mean(drawn)


def test_a_gap_is_filled_without_looking_at_it(clips):
    a = clips[0]
    gop = a.gops[0]
    other = gop.z_symbols.copy()
    other[3:6] += 7
    changed = dsaecodec.open(a.to_bytes([gop.replace(z_symbols=other)]))
    assert fill(a, range(3, 6)) == fill(changed, range(3, 6))
    filled = dsaecodec.open(fill(a, range(3, 6))).gops[0].z_symbols
    known = [0, 1, 2, 6, 7, 8]
    assert np.array_equal(filled[known], gop.z_symbols[known])


@pytest.mark.parametrize("gap", [range(0, 9), range(7, 12), range(20, 22)])
def test_gaps_that_cannot_be_filled_are_refused(clips, gap):
    with pytest.raises(UsageError, match="expected some, not all, frames of one GOP"):
        fill(clips[0], gap)


def test_the_commands(clips, tmp_path, capsys):
    a, b, out = tmp_path / "a.dsz", tmp_path / "b.dsz", tmp_path / "out.dsz"
    clips[0].write(a)
    clips[1].write(b)
    commands = (
        ["swap", str(a), str(b)],
        ["sample", "--model", "small", "--frames", "4", "--seed", "3"],
        ["sample", "--content", str(a)],
        ["sample", "--dynamics", str(b)],
        ["predict", str(a), "--frames", "3"],
        ["predict", str(a), "--missing", "4-6"],
    )
    for command in commands:
        assert main([*command, "-o", str(out), "-y"]) == 0, command
        assert main(["verify", str(out)]) == 0, command
    capsys.readouterr()
    assert main(["predict", str(a), "-o", str(out), "-y"]) == 2
    assert main(["predict", str(a), "--missing", "6-4", "-o", str(out)]) == 2
    kept = b.read_bytes()
    assert main(["swap", str(a), str(b), "-o", str(b), "-y"]) == 2
    assert main(["sample", "--dynamics", str(b), "-o", str(b), "-y"]) == 2
    assert b.read_bytes() == kept
    assert main(["sample", "--model", "natural", "-o", str(tmp_path / "x.dsz")]) == 2
    assert "knows textures and no scenes" in capsys.readouterr().err
    assert not (tmp_path / "x.dsz").exists()


def test_the_spatial_family_swaps_and_predicts_too(tmp_path):
    from dsaecodec.draw import moving_layers

    def encode(seed):
        return dsaecodec.encode(moving_layers(5, 48, 64, seed=seed), quality=30, preset="fast")

    a, b = dsaecodec.open(encode(1)), dsaecodec.open(encode(2))
    _, made = bitstream.split(swap(a, b))
    assert made[0].content == a.gops[0].coded.content
    longer = dsaecodec.open(predict(a, 2))
    assert longer.num_frames == 7 and len(list(longer)) == 7
    assert len(list(dsaecodec.decode(sample(content=a, num_frames=3)))) == 3
    with pytest.raises(UsageError, match="no scenes"):
        sample(dynamics=a)
    clip = dsaecodec.open(fill(a, range(2, 4)))
    assert np.array_equal(clip.gops[0].z_symbols[:2], a.gops[0].z_symbols[:2])
