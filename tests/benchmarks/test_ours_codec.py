"""Our own codec in the comparison: the files that the product writes, and what they went to."""

from __future__ import annotations

import io
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import bitstream
import dsaecodec
from benchmarks.rd.clip import Clip, rgb_clip
from benchmarks.rd.codec import CannotCode, Codec, Coded
from benchmarks.rd.codecs.ours import Ours, OurVectors, our_codecs
from dsaecodec.codec import Decoder, EncodeOptions, encode_video
from dsaecodec.draw import moving_layers
from dsaecodec.errors import ModelError
from dsaecodec.metrics import mean_rgb_psnr_db
from dsaecodec.model_io import load_model, save_model
from dsaecodec.model_store import find_model
from dsaecodec.spatial.gop_coder import code_content, code_dynamics, fixed
from dsaecodec.spatial.kinematics import Place
from dsaecodec.spatial.pictures import grid_size
from dsaecodec.vector.model import VectorConfig, VectorModel
from dsaecodec.video import Frame420, VideoInfo, rgb_to_420
from tests.vector.conftest import NARROW

SPATIAL = [codec for codec in our_codecs(None) if isinstance(codec, Ours)]
DRAWN = list(moving_layers(9, 38, 51, 1))


def video(num_frames: int = 9) -> Clip:
    info = VideoInfo(51, 38, Fraction(30000, 1001), 6, False)
    frames = [rgb_to_420(rgb, info.matrix, info.full_range) for rgb in DRAWN[:num_frames]]
    return Clip("video", "drawn", "yuv420", info, frames)


def codec(name: str) -> Codec:
    return next(codec for codec in our_codecs(None) if codec.name == name)


def written(clip: Clip, preset: str, quality: int) -> bytes:
    """The file that the product writes of a clip."""
    sink = io.BytesIO()
    frames = [frame for frame in clip.frames if isinstance(frame, Frame420)]
    encode_video(frames, clip.info, sink, EncodeOptions(quality, device="cpu", preset=preset))
    return sink.getvalue()


def forgetful_dynamics(gop: bitstream.Gop) -> bytes:
    """The GOP's dynamics coded anew with the prior's state held at zero."""
    loaded = load_model(None, "cpu")
    size, content = grid_size(38, 51), bitstream.SymbolDecoder(gop.content, loaded.tables)
    motion = code_content(loaded.spatial, content, size, gop.quality, None).motion
    setting = (size, gop.quality, Place.whole(gop.num_frames, gop.refs_previous, motion))
    decoder = bitstream.SymbolDecoder(gop.segments[0].payload, loaded.tables)
    coder = bitstream.SymbolEncoder(loaded.tables)
    with torch.no_grad():
        z = code_dynamics(loaded.model, decoder, *setting, None)
        code_dynamics(loaded.model, coder, *setting, fixed(z), remember=False)
    return coder.finish()


@pytest.mark.parametrize(
    "name, preset, quality",
    [("dsaecodec", "medium", 45), ("dsaecodec-fast", "fast", 60), ("dsaecodec-slow", "slow", 15)],
)
def test_a_packet_is_the_file_that_the_product_writes(name: str, preset: str, quality: int) -> None:
    clip, ours = video(), codec(name)
    coded = ours.encode(clip, quality)
    assert coded.packets == (written(clip, preset, quality),)
    expected = list(Decoder(io.BytesIO(coded.packets[0]), device="cpu"))
    decoded = ours.decode(coded, clip)
    assert len(decoded) == len(clip.frames) == len(expected)
    for a, b in zip(decoded, expected, strict=True):
        assert isinstance(a, Frame420)
        assert all(np.array_equal(p, q) for p, q in zip(a.planes, b.planes, strict=True))
    assert f"-q {quality} --preset {preset} " in ours.settings(clip, quality)


def test_bits_are_accounted_for() -> None:
    clip, ours = video(), codec("dsaecodec")
    coded = ours.encode(clip, 60)
    account = ours.account(coded, clip)
    parts = [account[f"{part}_bits"] for part in ("content", "dynamics", "overhead")]
    assert sum(parts) == 8 * coded.num_bytes and min(parts) > 0
    gops = list(bitstream.StreamReader(io.BytesIO(coded.packets[0])))
    assert account["content_bits"] == 8 * sum(len(gop.content) for gop in gops)
    without = sum(8 * len(forgetful_dynamics(gop)) for gop in gops)
    saved = without - account["dynamics_bits"]
    assert saved > 100 and account["prior_saved_bits"] == pytest.approx(saved, abs=32 * len(gops))


def test_a_single_frame_has_nothing_to_remember() -> None:
    clip, ours = video(1), codec("dsaecodec")
    assert ours.account(ours.encode(clip, 60), clip)["prior_saved_bits"] == 0


def test_contents_from_first_frames() -> None:
    """Of one frame it is the same file; of more it is another, read by the same decoder."""
    ours, first = codec("dsaecodec"), codec("dsaecodec-first")
    for num_frames in (1, 9):
        clip = video(num_frames)
        usual, coded = ours.encode(clip, 45), first.encode(clip, 45)
        assert (usual == coded) is (num_frames == 1)
        assert len(ours.decode(coded, clip)) == num_frames
        parts = first.account(coded, clip)
        total = parts["content_bits"] + parts["dynamics_bits"] + parts["overhead_bits"]
        assert total == 8 * coded.num_bytes
    assert ours.settings(clip, 45) != first.settings(clip, 45)


def test_pixel_art_goes_by_way_of_420_and_returns_as_rgb() -> None:
    clip, ours = rgb_clip("art", "small", DRAWN[:4]), codec("dsaecodec")
    decoded = ours.decode(ours.encode(clip, 75), clip)
    rgb = [frame for frame in decoded if isinstance(frame, np.ndarray)]
    assert [frame.shape for frame in rgb] == [(38, 51, 3)] * 4
    by_420 = [rgb_to_420(frame, clip.info.matrix, True) for frame in DRAWN[:4]]
    same = Clip("420", "small", "yuv420", clip.info, by_420)
    assert ours.encode(same, 75) == ours.encode(clip, 75)
    assert mean_rgb_psnr_db(DRAWN[:4], rgb) > 25
    assert ours.settings(clip, 75) != ours.settings(same, 75)


def test_settings_and_size_state_the_weights() -> None:
    clip, ours = video(1), codec("dsaecodec")
    loaded = load_model(None, "cpu")
    settings = ours.settings(clip, 30)
    assert f"weights {loaded.identity.hex()}" in settings and "format 2" in settings
    points = [(c, q) for c in SPATIAL for q in c.all_qualities]
    assert len({c.settings(clip, q) for c, q in points}) == len(points)
    size = ours.size(clip)
    assert size and size.num_bytes == find_model(None, None).stat().st_size
    assert size.numbers == sum(p.numel() for p in loaded.model.parameters())


def test_vectors_are_files_of_the_model_of_their_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = np.random.default_rng(1).integers(0, 255, (5, 16, 16, 3), dtype=np.uint8)
    clip, ours = rgb_clip("noise 1", "noise", frames, 12), codec("dsaecodec-vector")
    assert "no model named noise" in (ours.unsuitable(clip) or "")
    save_model(VectorModel(VectorConfig(16, 5, 3, **NARROW)), tmp_path / "noise.safetensors")
    monkeypatch.setenv("DSAECODEC_MODELS", str(tmp_path))
    assert ours.unsuitable(clip) is None
    larger = rgb_clip("noise 2", "noise", frames.repeat(2, 1).repeat(2, 2), 12)
    assert "no vector model for such pictures" in (ours.unsuitable(larger) or "")
    coded = ours.encode(clip, 70)
    data = dsaecodec.encode(list(frames), model="noise", quality=70, fps=12)
    assert coded.packets == (data,)
    decoded = np.stack([np.asarray(frame) for frame in ours.decode(coded, clip)])
    assert np.array_equal(decoded, np.stack(list(dsaecodec.decode(data))))
    assert sum(ours.account(coded, clip).values()) == 8 * len(data)
    size = ours.size(clip)
    assert size and size.num_bytes == (tmp_path / "noise.safetensors").stat().st_size
    identity = load_model("noise", "cpu").identity.hex()
    assert ours.settings(clip, 30) != ours.settings(clip, 45) and identity in ours.settings(
        clip, 45
    )


def test_what_it_cannot_code() -> None:
    clip, ours = video(1), codec("dsaecodec")
    with pytest.raises(CannotCode, match="whole numbers"):
        ours.encode(clip, 45.5)
    data = bytearray(ours.encode(clip, 45).packets[0])
    header = bitstream.read_header(io.BytesIO(data))
    at = data.index(header.model)
    data[at] ^= 1
    with pytest.raises((ModelError, bitstream.BitstreamError)):
        ours.decode(Coded((bytes(data),)), clip)


def test_other_weights_are_refused_though_some_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    clip, ours = video(1), codec("dsaecodec")
    data = ours.encode(clip, 45).packets[0]
    gops = list(bitstream.StreamReader(io.BytesIO(data)))
    header = bitstream.read_header(io.BytesIO(data))
    other = bitstream.join(bitstream.Header(b"0000", header.width, header.height, header.fps,
                                            header.colour), gops)  # fmt: skip
    ours.decode(Coded((data,)), clip)
    with pytest.raises(ModelError):
        ours.decode(Coded((other,)), clip)


def test_it_goes_to_other_processes() -> None:
    for ours in our_codecs("some/model.safetensors"):
        assert isinstance(ours, Ours | OurVectors) and pickle.loads(pickle.dumps(ours)) == ours
