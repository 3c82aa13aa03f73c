"""Pictures are the sums of products that the documentation says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import dsaecodec
from dsaecodec.errors import ConfigError, ModelError
from dsaecodec.model_io import load_model, save_model
from dsaecodec.training.shots import rgb_shot
from dsaecodec.training.start import RunRequest, start_run
from dsaecodec.training.team import joined_team
from dsaecodec.training.vector_stages import measured_detail
from dsaecodec.vector.model import VectorConfig, VectorModel
from dsaecodec.vector.synthesis import (
    BlockProducts,
    detail_of,
    products,
    to_blocks,
    to_pictures,
)
from tests.vector.conftest import NARROW, SIZE

DETAIL = "3021"


@pytest.fixture
def latents() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return torch.randn(3, 5), torch.randn(3, 4, 2)


def test_blocks_hold_every_pixel_once():
    pictures = torch.arange(2 * 3 * 3 * 32 * 32.0).reshape(2, 3, 3, 32, 32)
    blocks = to_blocks(pictures)
    assert blocks.shape == (16, 2, 3, 192)
    assert torch.equal(to_pictures(blocks, 32), pictures)
    assert set(blocks[5, 0, 0].tolist()) == set(pictures[0, 0, :, 8:16, 8:16].flatten().tolist())


@pytest.mark.parametrize("detail", ["", "3333", DETAIL, "0003", "1212"])
def test_each_block_is_its_sum_of_products(detail, latents):
    f, z = latents
    torch.manual_seed(4)
    model = BlockProducts(SIZE, 5, 2, 16, 6, 7, detail)
    torch.nn.init.normal_(model.bias)
    blocks = model(f, z)
    v, a = model.of_f(f), model.of_z(z)
    begin, seen = 0, 0
    for digit, weights in zip(
        sorted(set(detail or "3") - {"0"}, reverse=True), model.weights, strict=True
    ):
        places = [b for b in range(4) if (detail or "3333")[b] == digit]
        assert weights.shape[:2] == (len(places), products(16, digit))
        for b, weight in zip(places, weights, strict=True):
            part = slice(begin, begin := begin + len(weight))
            said = torch.einsum("nr,ntr,rd->ntd", v[:, part], a[..., part], weight)
            torch.testing.assert_close(blocks[b], said + model.bias[b])
            seen += 1
    assert begin == v.shape[1]
    for b in range(4):
        if detail and detail[b] == "0":
            assert torch.equal(blocks[b], model.bias[b].expand(3, 4, -1))
            seen += 1
    assert seen == 4


def test_detail_follows_what_varies():
    assert detail_of(torch.tensor([1.0, 0.0, 0.01, 0.001, 0.2])) == "30213"
    assert detail_of(torch.zeros(3)) == "000"
    frames = torch.zeros(6, 16, 16, 3, dtype=torch.uint8)
    frames[::2, :8, :8] = 200
    frames[::2, 8:, 8:] = 15
    frames[:, 8:, :8] = 90
    assert measured_detail([rgb_shot("a", frames.numpy(), loops=True)], 16) == "3002"
    assert [products(100, digit) for digit in "0123"] == [0, 6, 25, 100]
    assert products(3, "1") == 1


@pytest.mark.parametrize(
    "change", [{"detail": DETAIL}, {"products": "things", "z_channels": 4}], ids=str
)
def test_models_of_every_kind_make_files(change, tmp_path, monkeypatch):
    torch.manual_seed(1)
    model = VectorModel(replace(VectorConfig(SIZE, 5, 3, **NARROW), **change))
    save_model(model, tmp_path / "other.safetensors")
    monkeypatch.setenv("DSAECODEC_MODELS", str(tmp_path))
    frames = torch.randint(0, 255, (5, SIZE, SIZE, 3), dtype=torch.uint8).numpy()
    stream = dsaecodec.encode(list(frames), model="other", quality=70)
    assert len(list(dsaecodec.decode(stream))) == 5


@pytest.mark.parametrize(
    "config, said",
    [
        ('"detail": "333"', "a digit 0 to 3 for each block"),
        ('"detail": "3334"', "a digit 0 to 3 for each block"),
        ('"detail": 3333', "detail = 3333"),
        ('"products": "dots"', "products = 'dots'"),
        ('"products": "things"', "two for each thing"),
    ],
)
def test_files_with_a_wrong_shape_are_refused(config, said, tmp_path: Path):
    good = VectorConfig(SIZE, 5, 3, **NARROW, detail="3333")
    path = tmp_path / "m.safetensors"
    save_model(VectorModel(good), path)
    load_model(str(path), "cpu")
    data = path.read_bytes()
    key = config.partition(":")[0].replace('"', '\\"')
    old = {"detail": '\\"detail\\": \\"3333\\"', "products": '\\"products\\": \\"blocks\\"'}
    was = old[key.strip('\\"')].encode()
    assert was in data
    new = config.replace('"', '\\"').encode()
    path.write_bytes(data.replace(was, new.ljust(len(was))))
    with pytest.raises(ModelError, match=said):
        load_model(str(path), "cpu")


def test_a_small_file_cannot_ask_for_all_memory():
    widest = {"rank": 1024, "f_width": 1024, "z_width": 1024}
    assert "too large" in VectorConfig(256, 5, 3, **widest).fault
    assert not VectorConfig(256, 5, 3).fault


def test_a_run_takes_detail_from_its_footage_or_its_start(tmp_path: Path):
    settings = [
        *(f"vector.{name}={value}" for name, value in NARROW.items()),
        "data.drawn=characters",
        "data.num_drawn=4",
        "sequences.num_frames=4",
        "sketch.num_frames=4",
        "coding.num_frames=4",
    ]

    def begin(name: str, init: str | None = None, *more: str) -> str:
        request = RunRequest(tmp_path / name, "sprites", [*settings, *more], init=init)
        with joined_team(torch.device("cpu")) as team:
            return start_run(request, team).config.vector.detail

    measured = begin("a")
    assert len(measured) == 64 and set(measured) > {"0"}
    config = VectorConfig(**NARROW, detail="1" * 64)
    save_model(VectorModel(config), tmp_path / "b.safetensors")
    assert begin("c", str(tmp_path / "b.safetensors")) == "1" * 64
    assert begin("d", None, f"vector.detail='{'2' * 64}'") == "2" * 64
    with pytest.raises(ConfigError, match="digit"):
        begin("e", None, "vector.detail='31'")
