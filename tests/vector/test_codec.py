"""Streams of the vector family: round trips, rates, damage, and what other models refuse."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch

import bitstream
import dsaecodec
from bitstream import BitstreamError, SymbolCounter, SymbolDecoder
from dsaecodec.cli import main
from dsaecodec.errors import CodecError, InputVideoError, ModelError, UsageError
from dsaecodec.generation import predict
from dsaecodec.model_choice import choose_model
from dsaecodec.model_io import load_model, save_model
from dsaecodec.vector.gop_coder import code_content, code_dynamics
from dsaecodec.vector.model import VectorConfig, VectorModel
from dsaecodec.vector.pictures import UNIT
from dsaecodec.vector.synthesis import to_blocks
from dsaecodec.video import VideoInfo, VideoWriter, rgb_to_planes
from dsaecodec.video.frame import RGB
from tests.vector.conftest import NARROW, SIZE


def some_frames(count: int, seed: int = 0, size: int = SIZE) -> list[np.ndarray]:
    """Noise whose brightness rises and falls: frames that differ in every pixel, without cuts."""
    still = np.random.default_rng(seed).integers(0, 128, (size, size, 3))
    return [(still + abs(t * 4 % 200 - 100)).astype(np.uint8) for t in range(count)]


@pytest.fixture
def stream(models: Path) -> bytes:
    return dsaecodec.encode(some_frames(9), model="small", quality=60, fps=12)


def test_a_stream_says_what_it_is(stream, models):
    header, (gop,) = bitstream.split(stream)
    assert header.colour.is_rgb and (header.width, header.height) == (SIZE, SIZE)
    assert gop.num_frames == 9 and not gop.refs_previous
    identity = load_model(str(models / "small.safetensors")).identity
    assert header.model == identity


def test_frames_are_those_of_the_latents(stream):
    decoded = list(dsaecodec.decode(stream))
    with dsaecodec.open(stream) as clip:
        assert all(np.array_equal(a, b) for a, b in zip(clip, decoded, strict=True))
        gop = clip.gops[0]
        assert gop.f_symbols.shape == (5,) and gop.z_symbols.shape == (9, 3)
        again = gop.replace(f_symbols=gop.f_symbols, z_symbols=gop.z_symbols)
        assert again.coded == gop.coded
        assert np.allclose(gop.f_hat, gop.f_symbols * 2 ** (-30 / 16))


def test_the_same_frames_make_the_same_bytes(stream):
    assert dsaecodec.encode(some_frames(9), model="small", quality=60, fps=12) == stream
    one = dsaecodec.encode(some_frames(9), model="small", quality=60, fps=12, threads=1)
    assert one == stream


def test_bytes_are_what_the_symbols_cost(stream, models):
    loaded = load_model(str(models / "small.safetensors"))
    _, (gop,) = bitstream.split(stream)
    model, tables = loaded.vector, loaded.tables
    decoder, counter = SymbolDecoder(gop.content, tables), SymbolCounter(tables)
    f = code_content(model, decoder, gop.quality, None)
    code_content(model, counter, gop.quality, f)
    assert 8 * len(gop.content) <= 1.01 * counter.bits + 32
    decoder, counter = SymbolDecoder(gop.segments[0].payload, tables), SymbolCounter(tables)
    z = code_dynamics(model, decoder, gop.quality, [None] * gop.num_frames)
    code_dynamics(model, counter, gop.quality, z.unbind(1))
    assert 8 * len(gop.segments[0].payload) <= 1.01 * counter.bits + 32
    with dsaecodec.open(stream) as clip:
        assert clip.gops[0].z_bits.sum() == pytest.approx(counter.bits)


def test_many_frames_make_gops_of_128(models):
    stream = dsaecodec.encode(some_frames(300), model="small")
    _, gops = bitstream.split(stream)
    assert [gop.num_frames for gop in gops] == [128, 128, 44]
    part = list(dsaecodec.decode(stream, start=6, num_frames=3))
    whole = list(dsaecodec.decode(stream))
    assert all(np.array_equal(a, b) for a, b in zip(part, whole[150:153], strict=True))


def test_every_cut_and_flip_is_noticed(stream):
    for end in range(len(stream)):
        with pytest.raises(BitstreamError):
            list(dsaecodec.decode(stream[:end]))
    for place in range(len(stream)):
        damaged = bytearray(stream)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(CodecError):
            list(dsaecodec.decode(bytes(damaged)))


@pytest.mark.parametrize("size", [8, 17, 64])
def test_pictures_of_another_size_are_refused(models, size):
    with pytest.raises(InputVideoError, match=f"16x16 in RGB, these are {size}x{size}"):
        dsaecodec.encode(some_frames(2, size=size), model="small")


def test_streams_that_lie_about_the_model_are_refused(stream, models):
    """Signed streams whose header and model do not fit."""
    header, (gop,) = bitstream.split(stream)
    for other in (replace(header, width=17), replace(header, colour=bitstream.Colour(1, False))):
        with pytest.raises(BitstreamError, match="expected 16x16 in RGB"):
            list(dsaecodec.decode(bitstream.join(other, [gop])))
    natural = load_model().identity
    with pytest.raises(BitstreamError):
        list(dsaecodec.decode(bitstream.join(replace(header, model=natural), [gop])))
    referring = replace(gop, refs_previous=True)
    with pytest.raises(BitstreamError, match="refers"):
        list(dsaecodec.decode(bitstream.join(header, [gop, referring])))


def test_the_command_line_encodes_decodes_and_verifies(models, tmp_path, capsys):
    source, stream = tmp_path / "in" / "%05d.png", tmp_path / "a.dsz"
    frames = some_frames(5)
    with VideoWriter(source, VideoInfo(SIZE, SIZE, Fraction(25), RGB, True)) as writer:
        for frame in frames:
            writer.write(rgb_to_planes(frame))
    assert main(["encode", str(source.parent), "-o", str(stream), "--model", "small"]) == 0
    assert main(["decode", str(stream), "-o", str(tmp_path / "out") + "/"]) == 0
    assert main(["verify", str(stream)]) == 0
    assert main(["info", str(stream)]) == 0
    assert main(["eval", str(source.parent), str(stream)]) == 0
    assert main(["models"]) == 0
    assert "16x16 RGB" in capsys.readouterr().out
    assert stream.read_bytes() == dsaecodec.encode(frames, model="small")


def written(folder: Path, frames: list[np.ndarray]) -> Path:
    """Pictures as a folder of PNG."""
    with VideoWriter(folder / "%05d.png", VideoInfo(SIZE, SIZE, Fraction(25), RGB, True)) as writer:
        for frame in frames:
            writer.write(rgb_to_planes(frame))
    return folder


def test_what_costs_least_is_taken(models, tmp_path):
    """Noise of the model's size: its own model knows nothing of it, and natural does."""
    folder = written(tmp_path / "in", some_frames(3))
    assert choose_model("auto", folder, 60) == (None, False)
    assert choose_model(None, folder, 60) == (None, False)
    assert choose_model("small", folder, 60) == ("small", True)


def test_a_model_of_just_these_pictures_is_taken(tmp_path, monkeypatch):
    """What a model's pictures look like costs it nothing; noise costs the other one much."""
    frame = some_frames(1)[0]
    model = VectorModel(VectorConfig(SIZE, 5, 3, **NARROW))
    with torch.no_grad():
        for weight in model.synthesis.weights:
            weight.zero_()
        pictures = torch.from_numpy(frame).permute(2, 0, 1)[None, None] / UNIT
        model.synthesis.bias.copy_(to_blocks(pictures)[:, 0, 0])
    save_model(model, tmp_path / "still.safetensors")
    folder = written(tmp_path / "in", [frame] * 3)
    monkeypatch.setenv("DSAECODEC_MODELS", str(tmp_path))
    assert choose_model(None, folder, 60) == (str(tmp_path / "still.safetensors"), True)


def test_a_damaged_model_that_nobody_named_is_passed_over(tmp_path, monkeypatch):
    path = tmp_path / "broken.safetensors"
    save_model(VectorModel(VectorConfig(SIZE, 5, 3, **NARROW)), path)
    data = bytearray(path.read_bytes())
    at = 8 + int.from_bytes(data[:8], "little")
    data[at:] = b"\xff" * (len(data) - at)
    path.write_bytes(data)
    folder = written(tmp_path / "in", some_frames(2))
    monkeypatch.setenv("DSAECODEC_MODELS", str(tmp_path))
    assert choose_model(None, folder, 60) == (None, False)
    with pytest.raises(ModelError):
        dsaecodec.encode(some_frames(2), model="broken")


def test_frames_that_follow_from_content_do_not_restart(tmp_path, monkeypatch):
    config = VectorConfig(SIZE, 5, 3, **NARROW, dynamics="deterministic")
    save_model(VectorModel(config), tmp_path / "fixed.safetensors")
    monkeypatch.setenv("DSAECODEC_MODELS", str(tmp_path))
    stream = dsaecodec.encode(some_frames(8), model="fixed")
    with dsaecodec.open(stream) as clip:
        assert len(list(dsaecodec.decode(predict(clip, 120)))) == 128
        with pytest.raises(UsageError, match="at most 128 follow"):
            predict(clip, 121)
    header, (gop,) = bitstream.split(stream)
    (segment,) = gop.segments
    parts = tuple(replace(segment, first=t, num_frames=4) for t in (0, 4))
    restarting = bitstream.join(header, [replace(gop, segments=parts)])
    with pytest.raises(BitstreamError, match="restart"):
        list(dsaecodec.decode(restarting))


def test_a_decoder_reads_from_memory_and_once(stream):
    from dsaecodec.codec import Decoder, verify_stream

    assert verify_stream(BytesIO(stream)).frames == len(list(Decoder(BytesIO(stream))))


@pytest.mark.parametrize("dynamics", ["static", "deterministic", "none"])
def test_what_the_model_is_measured_against_makes_files_too(dynamics, tmp_path, monkeypatch):
    import torch

    from dsaecodec.generation import predict
    from dsaecodec.model_io import save_model
    from dsaecodec.vector.model import VectorConfig, VectorModel

    torch.manual_seed(1)
    model = VectorModel(VectorConfig(SIZE, 5, 3, **NARROW, dynamics=dynamics))
    save_model(model, tmp_path / "other.safetensors")
    monkeypatch.setenv("DSAECODEC_MODELS", str(tmp_path))
    stream = dsaecodec.encode(some_frames(6), model="other", quality=70)
    frames = list(dsaecodec.decode(stream))
    assert len(frames) == 6
    with dsaecodec.open(stream) as clip:
        sent = clip.gops[0].z_symbols.shape == (6, 3 if dynamics == "static" else 0)
        assert sent and all(np.array_equal(a, b) for a, b in zip(clip, frames, strict=True))
        longer = list(dsaecodec.decode(predict(clip, 4)))
    assert len(longer) == 10
    guesses = len(set(map(bytes, longer[6:])))
    if dynamics == "none":
        assert len(set(map(bytes, longer))) == 1
    else:  # without memory every guess is the same
        assert (guesses == 1) == (dynamics == "static")
