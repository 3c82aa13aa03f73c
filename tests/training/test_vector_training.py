"""Training of the vector family: from clips to a model that encodes, in pieces or at once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import dsaecodec
from dsaecodec.cli import main
from dsaecodec.draw import random_characters
from dsaecodec.errors import ConfigError
from dsaecodec.exact import check_bound
from dsaecodec.model_io import load_model
from dsaecodec.training.chance import Noise, generator_of
from dsaecodec.training.packed import read_pack, write_pack
from dsaecodec.training.shots import Shot, rgb_shot
from dsaecodec.training.vector_objective import code_clips, sequence_terms, sketch_terms
from dsaecodec.training.vector_stages import SequenceSampler, start_vectors, to_input
from dsaecodec.vector.model import DYNAMICS, VectorConfig, VectorModel
from dsaecodec.vector.synthesis import to_pictures
from tests.vector.conftest import NARROW

SMALL = [
    "--threads=1",
    "--set=data.drawn=characters",
    "--set=data.num_drawn=8",
    "--set=data.drawn_frames=8",
    "--set=vector.rank=4",
    "--set=vector.f_width=8",
    "--set=vector.z_width=8",
    "--set=vector.hidden=8",
    "--set=sketch.steps=4",
    "--set=sketch.batch=4",
    "--set=sequences.steps=4",
    "--set=sequences.batch=4",
    "--set=sequences.num_frames=8",
    "--set=coding.steps=4",
    "--set=coding.batch=4",
    "--set=coding.num_frames=8",
    "--set=judge_minutes=99",
]


def train(out: Path, *more: str) -> int:
    return main(["train", "--preset=sprites", "-o", str(out), "--quiet", *SMALL, *more])


@pytest.fixture(scope="module")
def shots() -> list[Shot]:
    clips = random_characters(6, 10, 1, held_out=False)
    return [rgb_shot(f"{i}", clip.frames, loops=i < 3) for i, clip in enumerate(clips)]


def small_model(dynamics: str = "stochastic", full: int = 0) -> VectorModel:
    torch.manual_seed(0)
    config = VectorConfig(64, 5, 3, **NARROW, full_posterior=full, dynamics=dynamics)
    return VectorModel(config)


def test_a_trained_model_encodes_and_keeps_its_bound(tmp_path, monkeypatch):
    out = tmp_path / "mine"
    assert train(out) == 0
    loaded = load_model(str(out / "mine.safetensors"))
    check_bound(loaded.model)
    monkeypatch.setenv("DSAECODEC_MODELS", str(out))
    clip = next(iter(random_characters(1, 6, 9, held_out=True))).frames
    stream = dsaecodec.encode(list(clip), model="mine", fps=12)
    assert len(list(dsaecodec.decode(stream))) == 6
    rows = (out / "judge.csv").read_text().splitlines()
    assert rows[1].startswith("sketch,0,") and rows[-1].startswith("coding,4,")
    assert rows[-1].split(",")[-1] != "", "coded size was compared with the estimate"


def test_pieces_make_the_same_model_as_the_whole(tmp_path):
    whole, pieces = tmp_path / "a" / "m", tmp_path / "b" / "m"
    for out in (whole, pieces):
        out.parent.mkdir()
    assert train(whole) == 0
    assert train(pieces, "--max-minutes=1e-6") == 0
    for _ in range(12):
        assert main(["train", "-o", str(pieces), "--resume", "--quiet", "--max-minutes=1e-6"]) == 0
    steps = json.loads(load_metadata(pieces / "m.safetensors")["training"])["steps"]
    assert steps == {"sketch": 4, "sequences": 4, "coding": 4}
    assert (whole / "m.safetensors").read_bytes() == (pieces / "m.safetensors").read_bytes()


def load_metadata(path: Path) -> dict[str, str]:
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    found: dict[str, str] = header["__metadata__"]
    return found


def test_clips_of_another_size_are_refused(tmp_path, capsys):
    assert train(tmp_path / "x", "--set=vector.size=32") == 2
    assert "no clip of 32x32 pixels to train on, but of 64x64" in capsys.readouterr().err
    assert train(tmp_path / "y", "--set=sequences.num_frames=9") == 2
    assert "no shot of 9 frames" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_the_last_stage_moves_the_priors_alone(tmp_path):
    before, after = tmp_path / "a", tmp_path / "b"
    assert train(before, "--set=coding.steps=0") == 0
    start = str(before / "a.safetensors")
    rest = ["--set=sketch.steps=0", "--set=sequences.steps=0", "--init", start]
    assert train(after, *rest) == 0
    old, new = (load_model(str(p / f"{p.name}.safetensors")).model for p in (before, after))
    pairs = zip(old.state_dict().items(), new.state_dict().values(), strict=True)
    moved = {name for (name, was), now in pairs if not torch.equal(was, now)}
    assert moved > {"content_prior.numbers.mix.weight", "dynamics_prior.head.weight"}
    assert all("_prior." in name for name in moved)
    assert train(tmp_path / "c", "--set=vector.f_channels=0", "--set=vector.dynamics=none") == 2


def test_the_sampler_goes_round_where_a_shot_loops(shots):
    sampler = SequenceSampler(shots[:3], 25, 64)
    (clip,) = sampler.clips(1, 25, generator_of(4))
    assert torch.equal(clip[0], clip[10]) and torch.equal(clip[3], clip[23])
    with pytest.raises(ConfigError, match="longest has 10"):
        SequenceSampler(shots[3:], 25, 64)
    seen = {len(clip) for clip in SequenceSampler(shots, 10, 64).clips(20, 7, generator_of(1))}
    assert seen == {7}


def test_input_is_the_pictures(shots):
    clips = SequenceSampler(shots, 4, 64).clips(3, 4, generator_of(2))
    back = 64 * to_pictures(to_input(clips), 64)
    assert torch.equal(back.to(torch.uint8), torch.stack(clips))


def test_rgb_shots_are_packed_as_they_are(shots, tmp_path):
    write_pack(tmp_path / "d.safetensors", shots)
    for a, b in zip(shots, read_pack(tmp_path / "d.safetensors"), strict=True):
        assert (a.name, a.loops) == (b.name, b.loops) and b.is_rgb
        assert torch.equal(a.luma, b.luma) and torch.equal(a.chroma, b.chroma)
    frames = next(iter(random_characters(1, 2, 3, held_out=False))).frames
    shot = rgb_shot("one", frames)
    rgb = torch.stack([shot.chroma[:, 1], shot.luma, shot.chroma[:, 0]], -1)
    assert np.array_equal(rgb.numpy(), frames)


@pytest.mark.parametrize("dynamics", DYNAMICS)
@pytest.mark.parametrize("full", [0, 1])
def test_every_part_of_every_kind_learns(shots, dynamics, full):
    """All parameters that a kind uses have a gradient after one step of each stage."""
    model = small_model(dynamics, full)
    start_vectors(model, shots)
    blocks = to_input(SequenceSampler(shots, 5, 64).clips(4, 5, generator_of(3)))
    quality = torch.tensor([30, 50, 70, 80])
    noise = Noise([(i,) for i in range(4)])
    sketch_terms(model, blocks, quality, noise, 0.2).loss.backward()
    sequence_terms(model, blocks, quality, noise, 0.2).loss.backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    allowed = {"stochastic": (), "static": ("dynamics_prior.",)}.get(
        dynamics, ("dynamics_prior.", "posterior.z.", "posterior.motion.", "synthesis.of_z.")
    )
    if dynamics == "deterministic":  # read at the first frame: nothing comes before it
        silent.remove("posterior.content.weight_hh_l0")
        assert "posterior.content.weight_hh_l0_reverse" not in silent
    assert [name for name in silent if not name.startswith(allowed)] == [], silent


def test_the_estimate_is_what_files_take(shots, tmp_path):
    from bitstream import SymbolCounter
    from dsaecodec.model_io import save_model
    from dsaecodec.vector.gop_coder import code_content, code_dynamics
    from dsaecodec.vector.gop_encoder import infer_symbols

    model = small_model()
    start_vectors(model, shots)
    model.project_()
    blocks = to_input(SequenceSampler(shots, 6, 64).clips(3, 6, generator_of(5)))
    save_model(model, tmp_path / "m.safetensors")
    loaded = load_model(str(tmp_path / "m.safetensors"), "cpu")
    trained = VectorModel(model.config)
    trained.load_state_dict(loaded.vector.state_dict())
    with torch.no_grad():
        coded = code_clips(trained, blocks, torch.full((3,), 60), None)
    f, z = infer_symbols(loaded.vector, blocks, 60)
    for clip in range(3):
        one, counter = slice(clip, clip + 1), SymbolCounter(loaded.tables)
        code_content(loaded.vector, counter, 60, f[one])
        assert counter.bits == pytest.approx(float(coded.bits_f[clip]), rel=0.02, abs=1)
        before = counter.bits
        code_dynamics(loaded.vector, counter, 60, z[one].unbind(1))
        assert counter.bits - before == pytest.approx(float(coded.bits_z[clip]), rel=0.02, abs=1)
