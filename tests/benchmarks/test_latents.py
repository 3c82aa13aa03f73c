"""The small latent models: bytes decode to what was foreseen, training goes on exactly."""

from __future__ import annotations

import csv
import math
import pickle
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from benchmarks.latents.clips import FIRST_BALLS_SEED, BallsClips, CharacterClips, drawing_identity
from benchmarks.latents.coding import Frames, decode_clip, encode_clip
from benchmarks.latents.head import NUM_LEVELS, pack_head, read_head
from benchmarks.latents.model import BETAS, CONFIGS, VARIANTS, LatentModel, Variant, num_parameters
from benchmarks.latents.objective import measure
from benchmarks.latents.store import FOLDER, identity, read_weights, weights_path, write_weights
from benchmarks.latents.train import TrainConfig, Trainer, as_tensor
from benchmarks.rd.clip import Clip, rgb_clip
from benchmarks.rd.clip import Frames as RdFrames
from benchmarks.rd.codec import CannotCode
from benchmarks.rd.codecs.latent import LatentCodec, latent_codecs
from bitstream import MalformedError
from dsaecodec.draw import bouncing_balls, random_characters
from dsaecodec.metrics import rgb_psnr_db

SHIPPED = [path.stem.split("-") for path in sorted(FOLDER.glob("*.safetensors"))]
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


def _model(variant: Variant, seed: int = 3) -> LatentModel:
    torch.manual_seed(seed)
    return LatentModel(CONFIGS[variant])


def _noise(num_frames: int) -> Frames:
    return np.random.default_rng(0).integers(0, 256, (num_frames, 64, 64, 3), np.uint8)


def _clips(group: str, count: int) -> list[Clip]:
    if group == "balls":
        drawn = [bouncing_balls(32, 9000 + seed).frames for seed in range(count)]
    else:
        drawn = [clip.frames for clip in random_characters(count, 16, 9000, held_out=True)]
    return [rgb_clip(f"{group}-{n}", group, frames) for n, frames in enumerate(drawn)]


def _stack(frames: RdFrames) -> Frames:
    return np.stack([frame for frame in frames if isinstance(frame, np.ndarray)])


def _pairs(source: Clip, decoded: RdFrames) -> Iterator[tuple[Frames, Frames]]:
    return zip(_stack(source.frames), _stack(decoded), strict=True)


def test_variants_have_equal_numbers_of_parameters() -> None:
    sizes = [num_parameters(_model(variant)) for variant in VARIANTS]
    assert max(sizes) <= 1.03 * min(sizes)
    assert max(sizes) <= 500_000


@pytest.mark.parametrize("num_frames", [1, 5, 60])
@pytest.mark.parametrize("variant", VARIANTS)
def test_decoding_gives_what_encoding_foresaw(variant: Variant, num_frames: int) -> None:
    model, frames = _model(variant), _noise(num_frames)
    for level in range(NUM_LEVELS):
        payload = encode_clip(model, frames, level)
        decoded = decode_clip(model, payload.data)
        assert decoded.shape == frames.shape
        assert np.array_equal(decoded, payload.frames)


@pytest.mark.parametrize("variant", VARIANTS)
def test_bytes_are_near_what_training_counts(variant: Variant) -> None:
    model, frames = _model(variant), _noise(12)
    for level, beta in enumerate(BETAS):
        clip = as_tensor(frames)[None]
        with torch.no_grad():
            terms = measure(model, clip, torch.tensor([beta]), torch.arange(12), None)
        bits = float(terms.bits_f + terms.bits_z)
        spent = 8 * len(encode_clip(model, frames, level).data)
        # a head, the coder's end, and means and scales made integers
        assert bits - 8 < spent < 1.03 * bits + 32


@pytest.mark.parametrize("variant", VARIANTS)
def test_threads_change_no_byte(variant: Variant) -> None:
    model, frames = _model(variant), _noise(4)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = encode_clip(model, frames, 3)
        torch.set_num_threads(2)
        assert encode_clip(model, frames, 3).data == one.data
        assert np.array_equal(decode_clip(model, one.data), one.frames)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_heads() -> None:
    for level in range(NUM_LEVELS):
        for num_frames in (1, 50, 51, 300, 2**24 - 1):
            head = pack_head(level, num_frames)
            assert len(head) == (1 if num_frames <= 50 else 4)
            assert read_head(head + b"rest") == (level, num_frames, len(head))
    for bad in (b"", b"\xff", b"\x32\x00", b"\x32\x00\x00\x05"):
        with pytest.raises(MalformedError):
            read_head(bad)
    with pytest.raises(ValueError):
        pack_head(NUM_LEVELS, 1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_bytes_behind_a_payload_are_refused(variant: Variant) -> None:
    model = _model(variant)
    data = encode_clip(model, _noise(6), 4).data
    for more in (b"\0", b"\1", b"\xff\xff\xff\xff"):
        with pytest.raises(MalformedError):
            decode_clip(model, data + more)


@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_survive_their_file(variant: Variant, tmp_path: Path) -> None:
    model = _model(variant)
    path = tmp_path / "weights.safetensors"
    write_weights(model, path, {"set": "none"})
    assert path.stat().st_size <= 1_200_000
    again = read_weights(path)
    assert again.config == model.config
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor.half().float()), name


class _FewClips:
    """Clips that cost nothing to draw."""

    lengths = (4, 6)

    def __init__(self) -> None:
        self._clips = np.stack([bouncing_balls(6, 5000 + seed).frames for seed in range(4)])

    def draw(self, count: int, num_frames: int, rng: np.random.Generator) -> Frames:
        """See `Clips.draw`."""
        return self._clips[rng.integers(len(self._clips), size=count), :num_frames]

    def validation(self, count: int) -> Frames:
        """See `Clips.validation`."""
        return self._clips[:2]


def _config(variant: Variant, steps: int) -> TrainConfig:
    return TrainConfig("balls", variant, steps=steps, batch=2, shown=2, validate=4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_training_resumes_exactly(variant: Variant, tmp_path: Path) -> None:
    logs, states = [], []
    for minutes in (math.inf, 0.0):  # no time at all is one step a piece
        out = tmp_path / str(minutes)
        out.mkdir()
        done, pieces = False, 0
        while not done:
            trainer = Trainer(_config(variant, 6), _FewClips(), out)
            if pieces:
                trainer.resume()
            done, pieces = trainer.run(minutes), pieces + 1
        assert pieces == (6 if minutes == 0 else 1)
        states.append(torch.load(out / "checkpoint.pt", weights_only=True))
        with open(out / "log.csv", newline="") as file:
            logs.append([[row[0], *row[2:]] for row in csv.reader(file)])
    for name, tensor in states[0]["model"].items():
        assert torch.equal(tensor, states[1]["model"][name]), name
    assert torch.equal(states[0]["generator"], states[1]["generator"])
    assert logs[0] == logs[1]
    assert [row[0] for row in logs[0][1:]] == ["4"] * len(BETAS) + ["6"] * len(BETAS)


def test_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    trainer = Trainer(_config("local", 2), _FewClips(), tmp_path)
    assert trainer.run()
    other = Trainer(_config("local", 3), _FewClips(), tmp_path)
    with pytest.raises(ValueError, match="another configuration"):
        other.resume()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_short_training_lowers_the_loss(variant: Variant, tmp_path: Path) -> None:
    config = replace(_config(variant, 60), learning_rate=2e-3)
    trainer = Trainer(config, _FewClips(), tmp_path)
    losses = [trainer.train_step()[1] for _ in range(60)]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:5])


def test_balls_are_shown_from_other_sides() -> None:
    clips = BallsClips(num_clips=1)
    drawn = bouncing_balls(20, FIRST_BALLS_SEED).frames
    views = [clips.draw(1, 20, np.random.default_rng(seed))[0] for seed in range(20)]
    assert len({view.tobytes() for view in views}) >= 19
    assert all(np.array_equal(view.shape, drawn.shape) for view in views)
    # a view has the pixels of the clip, or of a later part of it, elsewhere and in other channels
    long = bouncing_balls(40, FIRST_BALLS_SEED).frames
    levels = np.bincount(long.reshape(-1), minlength=256)
    assert all((np.bincount(view.reshape(-1), minlength=256) <= levels).all() for view in views)
    watched = clips.validation(2)
    assert not np.array_equal(watched[0, :20], drawn)


def test_training_draws_short_clips_first(tmp_path: Path) -> None:
    config = replace(_config("local", 40), batch=4)
    trainer = Trainer(config, _FewClips(), tmp_path)
    shapes = []
    for trainer.step in range(config.steps):
        shapes.append(trainer._draw().shape[:2])
    assert set(shapes[:20]) == {(3, 4)}
    assert {count for count, _ in shapes[20:]} == {4}
    assert {length for _, length in shapes[20:]} == {4, 5, 6}


def test_training_shows_no_held_out_character() -> None:
    clips = CharacterClips()
    trained, watched = set(clips._train), set(clips._valid)
    assert len(trained) == 950 and len(watched) == 50
    assert not trained & watched
    held_out = next(random_characters(1, 1, 0, held_out=True)).labels
    index = np.polyval([held_out[name] for name in ("body", "bottom", "top", "hair")], 6)
    assert int(index) not in trained | watched
    assert clips.draw(2, 9, np.random.default_rng(0)).shape == (2, 9, 64, 64, 3)


def test_codecs_say_what_they_cannot_code() -> None:
    for codec in latent_codecs():
        assert codec.unsuitable(rgb_clip("a", "balls", _noise(1)[:, :32])) is not None
        other = rgb_clip("a", "sprites", _noise(1))
        assert "sprites" in (codec.unsuitable(other) or "")
        with pytest.raises(CannotCode):
            codec.settings(other, 0)
        with pytest.raises(CannotCode):
            codec.encode(other, 0)
        assert codec.size(other) is None
        assert pickle.loads(pickle.dumps(codec)).name == codec.name


def test_codec_decodes_from_bytes_alone(tmp_path: Path) -> None:
    clip = rgb_clip("noise", "balls", _noise(7))
    blank = rgb_clip("noise", "balls", np.zeros_like(_noise(7)))
    for variant in VARIANTS:
        model = _model(variant)
        write_weights(model, tmp_path / weights_path("balls", variant).name, {})
        codec = LatentCodec(variant, tmp_path)
        coded = codec.encode(clip, 2)
        frames = _stack(codec.decode(coded, blank))
        expected = encode_clip(
            read_weights(tmp_path / f"balls-{variant}.safetensors"), _noise(7), 2
        )
        assert coded.packets == (expected.data,)
        assert np.array_equal(frames, expected.frames)
        with pytest.raises(CannotCode):
            codec.encode(clip, 0.5)


@pytest.mark.parametrize(("group", "variant"), SHIPPED)
def test_pedigree_names_the_weights(group: str, variant: Variant) -> None:
    path = weights_path(group, variant)
    text = (FOLDER / "WEIGHTS.md").read_text()
    row = next(line for line in text.splitlines() if f"`{path.name}`" in line)
    assert f"`{identity(path)}`" in row
    assert str(num_parameters(read_weights(path))) in re.sub(r"[, ]", "", row)
    last = path.with_suffix(".csv").read_text().splitlines()[-1]
    with safe_open(path, "pt") as file:
        assert last.split(",")[0] == file.metadata()["steps"]


@pytest.mark.parametrize("group", sorted({group for group, _ in SHIPPED}))
def test_weights_belong_to_what_is_drawn_today(group: str) -> None:
    clips = BallsClips(num_clips=1) if group == "balls" else CharacterClips()
    assert f"{group}: drawing `{drawing_identity(clips)}`" in (FOLDER / "WEIGHTS.md").read_text()


@pytest.mark.parametrize(("group", "variant"), SHIPPED)
def test_more_quality_is_more_bytes_and_more_db(group: str, variant: Variant) -> None:
    codec = LatentCodec(variant)
    clips, sizes, dbs = _clips(group, 12), [], []
    for quality in (0, 2, 4):
        coded = [codec.encode(clip, quality) for clip in clips]
        sizes.append(np.mean([c.num_bytes for c in coded]))
        decoded = [codec.decode(c, clip) for clip, c in zip(clips, coded, strict=True)]
        pairs = [(a, b) for clip, d in zip(clips, decoded, strict=True) for a, b in _pairs(clip, d)]
        dbs.append(np.mean([rgb_psnr_db(a, b) for a, b in pairs]))
    assert sizes == sorted(sizes) and sizes[0] < sizes[2]
    assert dbs == sorted(dbs) and dbs[0] < dbs[2]


def test_every_variant_is_shipped_for_a_set_or_none() -> None:
    for group in {group for group, _ in SHIPPED}:
        assert {v for g, v in SHIPPED if g == group} == set(VARIANTS)
