"""Training: it learns, it stops and goes on as if it had not, its steps mean what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dsaecodec import likelihood
from dsaecodec.data import ClipSampler, Shot
from dsaecodec.draw import moving_layers
from dsaecodec.exact import check_bound
from dsaecodec.likelihood import MEAN_UNITS, NUM_TABLES, SCALE_LEVELS
from dsaecodec.motion import estimate_chain
from dsaecodec.synthesis import (
    Yuv,
    dct_matrix,
    from_blocks,
    pack,
    to_blocks,
    transform_matrix,
    unpack,
    upsample_half_pel,
)
from dsaecodec.tables import build_tables
from dsaecodec.train import TrainConfig, Trainer
from dsaecodec.video import rgb_to_420

TINY = TrainConfig(
    steps_content=3, steps_clips=3, batch_content=2, batch_clips=1, size=64, num_frames=4, seed=7
)


def drawn_shot(seed: int) -> Shot:
    frames = [rgb_to_420(rgb) for rgb in moving_layers(6, 80, 96, seed)]
    chroma = np.stack([np.stack([f.u, f.v]) for f in frames])
    return Shot(torch.from_numpy(np.stack([f.y for f in frames])), torch.from_numpy(chroma))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.pt"
    torch.save([(s.luma, s.chroma) for s in map(drawn_shot, range(4))], path)
    return path


def trainer(data: Path, out: Path, config: TrainConfig = TINY) -> Trainer:
    out.mkdir(exist_ok=True)
    if not (out / "data.pt").exists():
        (out / "data.pt").symlink_to(data)
    return Trainer(config, [], out, "cpu")


def test_a_resumed_run_equals_an_uninterrupted_one(data, tmp_path):
    whole = trainer(data, tmp_path / "whole")
    for _ in range(TINY.steps):
        whole.train_step()
    for stop in range(TINY.steps):
        part = trainer(data, tmp_path / "parts")
        if stop:
            part.resume()
        part.train_step()
        part.save()
    assert part.step == whole.step == TINY.steps
    for (name, a), b in zip(
        whole.model.state_dict().items(), part.model.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name


def test_a_checkpoint_of_another_configuration_is_refused(data, tmp_path):
    trainer(data, tmp_path).save()
    other = trainer(data, tmp_path, replace(TINY, seed=8))
    with pytest.raises(ValueError, match="another configuration"):
        other.resume()


def test_a_short_training_lowers_the_loss_and_keeps_the_bound(data, tmp_path):
    config = replace(TINY, steps_content=80, steps_clips=0, batch_content=4)
    run = trainer(data, tmp_path, config)
    losses = []
    for _ in range(config.steps):
        run.generator.manual_seed(1)  # the same crops and quality each step
        torch.manual_seed(1)
        losses.append(float(run.train_step().loss.detach()))
    assert losses[-1] < 0.9 * losses[0], losses
    check_bound(run.model)


def test_a_step_on_clips_reaches_every_part(data, tmp_path):
    config = replace(TINY, steps_content=0, steps_clips=20)
    run = trainer(data, tmp_path, config)
    before = {k: v.clone() for k, v in run.model.state_dict().items()}
    for _ in range(6):
        terms = run.train_step()
        assert float(terms.bits_content) > 0 and float(terms.bits_dynamics) > 0
    moved = {k.split(".")[0] for k, v in run.model.state_dict().items() if not v.equal(before[k])}
    assert moved == {k.split(".")[0] for k in before}


def test_sampler_needs_long_and_large_enough_shots():
    with pytest.raises(ValueError, match="no shot"):
        ClipSampler([drawn_shot(0)], 7, 64)
    with pytest.raises(ValueError, match="no shot"):
        ClipSampler([drawn_shot(0)], 2, 96)
    clip = ClipSampler([drawn_shot(0)], 3, 64).draw(2, torch.Generator().manual_seed(0))
    assert clip.luma.shape == (2, 3, 64, 64) and clip.chroma.shape == (2, 3, 2, 32, 32)


@pytest.mark.parametrize("index", [0, 7, 20, SCALE_LEVELS - 1])
@pytest.mark.parametrize("fraction", range(MEAN_UNITS))
def test_training_rate_equals_the_tables(index, fraction):
    """The differentiable code length is that of the stored integers, but for rounding to 2^-24."""
    tables = build_tables()
    assert tables.num_tables == NUM_TABLES
    symbols = np.arange(-3, 4)
    table = np.full(symbols.shape, index * MEAN_UNITS + fraction)
    mean = torch.full((7,), float(fraction - 2))
    estimate = likelihood.bits(
        torch.from_numpy(symbols).double(), mean.double(), torch.full((7,), float(index)).double()
    ).numpy()
    exact = tables.cost_bits(table, symbols.astype(np.int32))
    likely = exact < 16
    assert likely.any() and np.allclose(estimate[likely], exact[likely], rtol=0.01, atol=0.01)


def test_split_mean_is_an_identity():
    mean = torch.arange(-40, 41).double()
    integer, fraction = likelihood.split_mean(mean)
    assert torch.equal(4 * integer + fraction - 2, mean)
    assert fraction.min() == 0 and fraction.max() == 3


def test_transforms_are_orthonormal_and_block_layouts_invert():
    for size in (8, 16):
        matrix = dct_matrix(size)
        assert torch.allclose(matrix @ matrix.T, torch.eye(size * size), atol=1e-5)
    assert transform_matrix(64, 16).shape == (96, 384)
    frame = Yuv(torch.randn(2, 1, 32, 48), torch.randn(2, 2, 16, 24))
    for there, back in ((to_blocks, from_blocks), (pack, unpack)):
        again = back(there(frame))
        assert torch.equal(again.luma, frame.luma) and torch.equal(again.chroma, frame.chroma)


def test_half_pel_interpolation_keeps_samples_and_flats():
    x = torch.randn(1, 2, 9, 11)
    up = upsample_half_pel(x)
    assert up.shape == (1, 2, 18, 22) and torch.equal(up[:, :, ::2, ::2], x)
    assert torch.allclose(upsample_half_pel(torch.full((1, 1, 5, 5), 3.0)), torch.tensor(3.0))


@pytest.mark.parametrize("dy, dx", [(0, 0), (3, -2), (-1.5, 5.25)])
def test_motion_search_finds_a_pan(dy, dx):
    """A smooth texture moving steadily: the vectors of the middle blocks are the true ones."""
    rows, cols = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")

    def view(t: float) -> torch.Tensor:
        y, x = rows + dy * t, cols + dx * t
        return 60 * torch.sin(y / 7) + 50 * torch.cos(x / 9) + 30 * torch.sin((x + y) / 5)

    frames = torch.stack([view(t) for t in (1, 2, 3)])[None]
    grids = estimate_chain(frames, view(0)[None, None], mu=1.0)
    for t in (1, 2, 3):
        middle = grids[0, t - 1, :, 2:-2, 2:-2]
        expected = torch.tensor([dy * t, dx * t])[:, None, None]
        assert (middle - expected).abs().mean() < 0.1
