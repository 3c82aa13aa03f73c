"""The exact part: torch equals the int64 referee, under every setting that may change a float."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dsaecodec.exact import ACC_LIMIT, IntConv, check_bound, compand
from dsaecodec.model_io import load_model
from dsaecodec.model_store import FOLDER, find_model
from dsaecodec.spatial.code_length import content_motion_parameters
from dsaecodec.spatial.kinematics import Place
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.motion_prior import MotionPrior
from dsaecodec.spatial.prior import ContentPrior, DynamicsPrior
from tests import referee

SIZE = (5, 7)


@pytest.fixture(
    scope="module",
    params=sorted(file.stem for file in FOLDER.glob("natural*.safetensors")),
)
def path(request: pytest.FixtureRequest) -> Path:
    return find_model(request.param)


@pytest.fixture(scope="module")
def model(path: Path) -> SpatialModel:
    return load_model(str(path)).model


@pytest.fixture(scope="module")
def judge(path: Path) -> referee.Referee:
    return referee.Referee(path)


def some_symbols(seed: int, *shape: int) -> np.ndarray:
    """Mostly small integers, some of hundreds, a few of thousands."""
    rng = np.random.default_rng(seed)
    scale = rng.choice([0.4, 3.0, 300.0, 4000.0], size=shape, p=[0.8, 0.15, 0.04, 0.01])
    return np.round(rng.laplace(0, scale)).astype(np.int64)


def with_extremes(symbols: np.ndarray) -> np.ndarray:
    """The same with a few symbols at the ends of their range."""
    flat = symbols.reshape(-1)
    flat[::97], flat[1::101] = 2**30, -(2**30)
    flat[2::103] = 2**21
    return symbols


def record_content(
    prior: ContentPrior,
    hyper: np.ndarray,
    f: np.ndarray,
    quality: int,
    dtype=torch.float64,
    *,
    predicted: bool = False,
):
    """(mean, index) of every step for a batch: hyper [N, …], f [N, C, h, w]."""
    seen = []
    flat = torch.from_numpy(f).to(dtype).flatten(2)

    def exchange(mean, index, rows):
        seen.append((mean.long().numpy(), index.long().numpy()))
        return flat[:, :, rows]

    hyper_tensor = torch.from_numpy(hyper).to(flat.dtype)
    prior.code(hyper_tensor, f.shape[2:], quality, exchange, predicted=predicted)
    return seen


def record_motion(prior: MotionPrior, motion: np.ndarray, fineness: int, dtype=torch.float64):
    """(mean, index) of every step for a batch: motion [N, 2, h, w], at quality 37."""
    seen = []
    symbols = torch.from_numpy(motion).to(dtype)

    def exchange(mean, index, rows):
        seen.append((mean.long().numpy(), index.long().numpy()))
        return symbols.flatten(2)[:, :, rows]

    assert prior.code(symbols, 37, fineness, exchange).equal(symbols)
    return seen


def record_dynamics(
    prior: DynamicsPrior,
    z: np.ndarray,
    quality: int,
    refs: bool,
    dtype=torch.float64,
    motion: np.ndarray | None = None,
):
    """(mean, index) of every step of every frame: z [T, N, C, h, w], motion [N, 2, h, w]."""
    seen = []
    begin = None if motion is None else torch.from_numpy(motion)
    state = prior.init_state(z.shape[1], z.shape[3:], dtype, begin)
    for t, frame in enumerate(z):
        place = Place.of(t, 1, len(z), refs).repeated(z.shape[1])
        flat = torch.from_numpy(frame).to(dtype).flatten(2)

        def exchange(mean, index, rows, flat=flat):
            seen.append((mean.long().numpy(), index.long().numpy()))
            return flat[:, :, rows]

        _, state = prior.step(state, quality, place, exchange)
    return seen


def same(a, b) -> bool:
    return all(
        np.array_equal(p, q) for x, y in zip(a, b, strict=True) for p, q in zip(x, y, strict=True)
    )


def record_hyper(
    prior: ContentPrior, hyper: np.ndarray, quality: int, dtype=torch.float64, **known: bool
):
    """(mean, index) of every step: hyper [N, …]."""
    seen = []
    flat = torch.from_numpy(hyper).to(dtype)

    def exchange(mean, index, rows):
        seen.append((mean.long().numpy(), index.long().numpy()))
        return flat.flatten(2)[:, :, rows]

    prior.code_hyper(flat, quality, exchange, **known)
    return seen


@pytest.mark.parametrize("predicted", [False, True])
@pytest.mark.parametrize("quality", [0, 37, 100])
def test_prior_of_hyper_equals_int64_referee(model, judge, quality, predicted):
    if predicted and not judge.predicts:
        pytest.skip("contents of this model stand alone")
    hyper = with_extremes(some_symbols(1, model.config.hyper_channels, 3, 4))
    expected = []

    def exchange(mean, index, cells):
        expected.append((mean[None], index[None]))
        return np.stack([hyper[:, y, x] for y, x in cells], 1)

    judge.hyper((3, 4), quality, exchange, predicted=predicted)
    got = record_hyper(model.content_prior, hyper[None], quality, predicted=predicted)
    assert len(got) == (4 if judge.is_contextual else 1) and same(got, expected)


@pytest.mark.parametrize("predicted", [False, True])
@pytest.mark.parametrize("quality", [0, 37, 100])
def test_content_prior_equals_int64_referee(model, judge, quality, predicted):
    if predicted and not judge.predicts:
        pytest.skip("contents of this model stand alone")
    hyper = some_symbols(1, model.config.hyper_channels, 3, 4)
    f = with_extremes(some_symbols(2, model.content_prior.channels, *SIZE))
    expected = []

    def exchange(mean, index, cells):
        expected.append((mean[None], index[None]))
        return np.stack([f[:, y, x] for y, x in cells], 1)

    judge.content(hyper, SIZE, quality, exchange, predicted=predicted)
    prior = model.content_prior
    got = record_content(prior, hyper[None], f[None], quality, predicted=predicted)
    assert len(got) == 4 and same(got, expected)


def test_motion_of_contents_equals_int64_referee(model, judge):
    """It is half the motion of a frame, nothing else of which is said, at its content."""
    if judge.is_precise:
        pytest.skip("this model has a prior for it")
    motion = with_extremes(some_symbols(9, 2, *SIZE))
    expected, got = [], []
    zeros = np.zeros((model.config.z_channels, *SIZE), np.int64)

    def exchange(mean, index, cells):
        expected.append((mean[2:4], index[2:4]))
        said = np.zeros_like(mean)
        said[2:4] = np.stack([motion[:, y, x] for y, x in cells], 1)
        return said

    hidden = np.zeros((DynamicsPrior.HIDDEN, *SIZE), np.int64)
    judge.dynamics((zeros, zeros, hidden), 50, (0, 1, True), exchange)
    parameters = content_motion_parameters(model, torch.from_numpy(motion[None]).double(), 50)
    mean, index = (x[0].long().numpy() for x in (parameters.mean, parameters.index))
    for (wanted_mean, wanted_index), cells in zip(expected, referee.lattice(*SIZE), strict=True):
        ys, xs = (np.array(v) for v in zip(*cells, strict=True))
        got.append(np.array_equal(mean[:, ys, xs], wanted_mean))
        got.append(np.array_equal(index[:, ys, xs], wanted_index))
    assert len(got) == 8 and all(got)


@pytest.mark.parametrize("fineness", [0, 1, 2])
@pytest.mark.parametrize("size", [SIZE, (1, 1), (1, 9), (17, 10), (26, 15)])
def test_motion_prior_equals_int64_referee(model, judge, fineness, size):
    if not judge.is_precise:
        pytest.skip("this model codes it as motion of a frame")
    motion = some_symbols(9, 2, *size)
    motion = with_extremes(motion) if min(size) > 1 else motion
    expected = []

    def listen(mean, index, cells):
        expected.append((mean[None], index[None]))
        return np.stack([motion[:, y, x] for y, x in cells], 1)

    judge.motion(size, 37, fineness, listen)
    got = record_motion(model.motion_prior, motion[None], fineness)
    assert len(got) == len(expected) and same(got, expected)


@pytest.mark.parametrize(("refs", "moving"), [(False, False), (True, False), (True, True)])
def test_dynamics_prior_equals_int64_referee(model, judge, refs, moving):
    z = with_extremes(some_symbols(3, 5, model.config.z_channels, *SIZE))
    expected = []
    z1 = z2 = np.zeros_like(z[0])
    hidden = np.zeros((DynamicsPrior.HIDDEN, *SIZE), np.int64)
    motion = with_extremes(some_symbols(7, 2, *SIZE)) if moving else None
    if motion is not None:
        z1, z2, hidden = judge.steady(motion)
    for t, frame in enumerate(z):

        def exchange(mean, index, cells, frame=frame):
            expected.append((mean[None], index[None]))
            return np.stack([frame[:, y, x] for y, x in cells], 1)

        place = (t, len(z), refs)
        coded, hidden = judge.dynamics((z1, z2, hidden), 50, place, exchange)
        z1, z2 = coded, z1
    begin = None if motion is None else motion[None]
    got = record_dynamics(model.dynamics_prior, z[:, None], 50, refs, motion=begin)
    assert len(got) == 20 and same(got, expected)


@pytest.mark.parametrize("num_frames", [1, 2, 7, 128])
@pytest.mark.parametrize("refs", [False, True])
def test_lifting_equals_int64_referee_and_is_undone(model, judge, num_frames, refs):
    """Whatever the symbols; at their limit, too."""
    z = with_extremes(some_symbols(8, num_frames, model.config.z_channels, *SIZE))
    z[:, :4, 0, 0] = 2**30
    prior, place = model.dynamics_prior, Place.whole(num_frames, refs)
    for quality in (0, 37, 100):
        lifted = prior.lifted(torch.from_numpy(z).double(), quality, place)
        expected = [judge.lifted(x, quality, (t, num_frames, refs)) for t, x in enumerate(z)]
        assert np.array_equal(lifted.long().numpy(), np.stack(expected))
        assert np.array_equal(prior.unlifted(lifted, quality, place).long().numpy(), z)


def test_constant_velocity_is_expected():
    """Of what moves by v pixels a frame nothing is left of the mean but what rounding makes."""
    velocity, num_frames = torch.tensor([3.0, -1.25]), 8
    place, ratio = Place.whole(num_frames, True), torch.tensor([64.0, 32.0])
    t = torch.arange(num_frames)[:, None]
    to_previous, to_current = -velocity * (t + 1), velocity * (num_frames - 1 - t)
    mean, half = (to_previous + to_current) / 2, (to_previous - to_current) / 2
    unit = torch.tensor([0.25, 0.25])
    symbols = torch.cat([mean / unit, half / (unit * ratio / 64)], 1)[:, :, None, None].round()
    assert symbols[:, :2].abs().max() > 30
    assert place.lifted(symbols, ratio)[:, :2].abs().max() <= 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [1, 15, 16, 32])
def test_a_batch_says_what_its_members_say(batch, dtype):
    """Symbols in float32, as in training, or float64; no setting of oneDNN or autocast matters."""
    loaded = load_model(None, "cpu").model
    hyper = some_symbols(4, batch, loaded.config.hyper_channels, 2, 2).clip(-60, 60)
    f = some_symbols(5, batch, loaded.content_prior.channels, 4, 4)
    z = some_symbols(6, 3, batch, loaded.config.z_channels, 4, 4)
    motion = some_symbols(7, batch, 2, 9, 5)
    single = [
        record_hyper(loaded.content_prior, hyper[i : i + 1], 60, dtype)
        + record_content(loaded.content_prior, hyper[i : i + 1], f[i : i + 1], 60, dtype)
        + record_dynamics(loaded.dynamics_prior, z[:, i : i + 1], 60, True, dtype)
        + record_motion(loaded.motion_prior, motion[i : i + 1], 2, dtype)
        for i in range(batch)
    ]
    expected = [
        tuple(np.concatenate([one[k][p] for one in single]) for p in (0, 1))
        for k in range(len(single[0]))
    ]
    for mkldnn in (True, False):
        for autocast in (True, False):
            with (
                torch.backends.mkldnn.flags(enabled=mkldnn),
                torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast),
            ):
                got = record_hyper(loaded.content_prior, hyper, 60, dtype)
                got += record_content(loaded.content_prior, hyper, f, 60, dtype)
                got += record_dynamics(loaded.dynamics_prior, z, 60, True, dtype)
                got += record_motion(loaded.motion_prior, motion, 2, dtype)
            assert same(got, expected), (mkldnn, autocast)


SETTINGS = [
    {},
    {"ATEN_CPU_CAPABILITY": "default"},
    {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    {"OMP_NUM_THREADS": "1"},
    {"OMP_NUM_THREADS": "2"},
]


@pytest.mark.parametrize("name", ["v1-natural-three-gops", "v2-precise-everything"])
def test_symbols_of_a_file_do_not_depend_on_the_machine(golden, name):
    """One file, every instruction set and thread count: one digest of its symbols."""
    digests, file = set(), golden.parent / f"{name}.dsz"
    for setting in SETTINGS:
        command = [sys.executable, "-m", "dsaecodec", "verify", str(file), "--json"]
        done = subprocess.run(
            command, env=os.environ | setting, capture_output=True, text=True, check=True
        )
        digests.add(json.loads(done.stdout)["symbols"])
    assert len(digests) == 1


def test_compand_equals_its_definition():
    values = np.arange(-2000, 2001)
    got = compand(torch.from_numpy(values).double()).long().numpy()
    assert np.array_equal(got, referee.compand(values))
    assert got.min() == -126 and got.max() == 126 and np.all(np.diff(got) >= 0)


def test_bound_is_enforced():
    layer = IntConv(8, 4)
    with torch.no_grad():
        layer.weight[2].fill_(50.0)
    with pytest.raises(ValueError, match="channel 2"):
        check_bound(torch.nn.ModuleDict({"bad": layer}))
    layer.project_()
    check_bound(torch.nn.ModuleDict({"good": layer}))
    assert float(layer.row_bound().max()) < ACC_LIMIT


def test_straight_through_gradient_reaches_weights():
    layer = IntConv(3, 2, 3)
    x = torch.randint(0, 200, (1, 3, 4, 4)).float()
    layer(x).sum().backward()
    assert float(layer.weight.grad.abs().sum()) > 0
