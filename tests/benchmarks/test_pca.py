"""PCA as a codec: the basis is that of an independent decomposition, bytes alone decode."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.rd.clip import Clip, Frames, rgb_clip
from benchmarks.rd.codec import CannotCode
from benchmarks.rd.codecs import pca
from benchmarks.rd.codecs.pca import CACHE_VARIABLE, COMPONENTS, STEPS, PcaCodec, Protocol, fit
from dsaecodec.draw import bouncing_balls, random_characters
from dsaecodec.metrics import rgb_psnr_db

PROTOCOL = Protocol("characters", 4, None, clips=60, components=10)


@pytest.fixture(autouse=True)
def _small_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few clips and components; nothing kept on disk."""
    full = PcaCodec._protocol

    def small(self: PcaCodec, group: str, num_frames: int, motion: int) -> Protocol:
        return replace(full(self, group, num_frames, motion), clips=60, components=24)

    monkeypatch.setattr(PcaCodec, "_protocol", small)
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)


def _clips(group: str, count: int) -> list[Clip]:
    if group == "balls":
        return [rgb_clip(f"{n}", group, bouncing_balls(4, n).frames) for n in range(count)]
    drawn = random_characters(count, 4, 11, held_out=True)
    return [rgb_clip(f"{n}", group, c.frames, 12, c.labels) for n, c in enumerate(drawn)]


def _stack(frames: Frames) -> NDArray[np.uint8]:
    return np.stack([frame for frame in frames if isinstance(frame, np.ndarray)])


def _psnr_db(clip: Clip, decoded: Frames) -> float:
    pairs = zip(_stack(clip.frames), _stack(decoded), strict=True)
    return float(np.mean([rgb_psnr_db(a, b) for a, b in pairs]))


def _codecs(group: str) -> list[PcaCodec]:
    return [PcaCodec(), PcaCodec(by_motion=True)] if group == "characters" else [PcaCodec()]


@pytest.mark.parametrize("group", ["characters", "balls"])
def test_basis_is_that_of_a_singular_value_decomposition(group: str) -> None:
    protocol = replace(PROTOCOL, group=group)
    basis = fit(protocol)
    assert np.allclose(basis.vectors @ basis.vectors.T, np.eye(10), atol=1e-3)
    samples = np.stack([c.reshape(-1) for c in pca._draw(protocol)]).astype(np.float64)
    used, others = samples[:48], samples[48:]
    mean = used.mean(0)
    _, _, expected = np.linalg.svd(used - mean, full_matrices=False)
    agreement = np.abs(basis.vectors[:6] @ expected[:6].T)
    assert np.allclose(np.linalg.norm(agreement, axis=1), 1, atol=1e-2)
    values = np.abs((others - mean) @ basis.vectors.T.astype(np.float64)).mean(0)
    assert np.allclose(basis.scales, values, rtol=1e-3)


def test_bases_of_motions_differ() -> None:
    wave, slash = (fit(replace(PROTOCOL, motion=motion)) for motion in (4, 7))
    assert not np.allclose(wave.mean, slash.mean)


@pytest.mark.parametrize("group", ["characters", "balls"])
def test_decoded_frames_are_the_quantized_projection(group: str) -> None:
    for codec in _codecs(group):
        for clip in _clips(group, 3):
            blank = replace(clip, frames=list(np.zeros((4, 64, 64, 3), np.uint8)), labels={})
            for level, step in enumerate(STEPS):
                coded = codec.encode(clip, level)
                basis = codec._basis(group, 4, codec._motion(clip))
                vectors = basis.vectors[: COMPONENTS[level]].astype(np.float64)
                values = vectors @ (_stack(clip.frames).reshape(-1) - basis.mean)
                picture = basis.mean + np.rint(values / step) * step @ vectors
                decoded = _stack(codec.decode(coded, blank)).reshape(-1).astype(float)
                assert np.abs(decoded - np.clip(picture, 0, 255)).max() < 0.51


@pytest.mark.parametrize("group", ["characters", "balls"])
def test_more_quality_is_more_bytes_and_more_db(group: str) -> None:
    clips = _clips(group, 4)
    for codec in _codecs(group):
        sizes, dbs = [], []
        for quality in codec.qualities:
            coded = [codec.encode(clip, quality) for clip in clips]
            pairs = zip(clips, coded, strict=True)
            sizes.append(np.mean([c.num_bytes for c in coded]))
            dbs.append(np.mean([_psnr_db(clip, codec.decode(c, clip)) for clip, c in pairs]))
        assert sizes == sorted(sizes) and sizes[0] < sizes[-1]
        assert dbs == sorted(dbs) and dbs[0] < dbs[-1]


def test_size_counts_every_stored_number() -> None:
    clip = _clips("characters", 1)[0]
    one, nine = (codec.size(clip) for codec in _codecs("characters"))
    basis = PcaCodec()._basis("characters", 4, 0)
    stored = basis.mean.size + basis.vectors.size + basis.scales.size
    assert one is not None and nine is not None
    assert (one.numbers, one.num_bytes) == (stored, 4 * stored)
    assert nine.numbers == 9 * stored


def test_fits_are_kept_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = _clips("balls", 1)[0]
    expected = PcaCodec().encode(clip, 3)
    assert PcaCodec(folder=tmp_path).encode(clip, 3) == expected
    assert len(list(tmp_path.iterdir())) == 1
    pca._fitted.cache_clear()
    monkeypatch.setattr(pca, "fit", lambda protocol: pytest.fail("fitted again"))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert PcaCodec().encode(clip, 3) == expected
    pca._fitted.cache_clear()


def test_what_it_cannot_code() -> None:
    clip = _clips("characters", 1)[0]
    assert PcaCodec().unsuitable(clip) is None
    unlabelled = replace(clip, labels={})
    assert PcaCodec().unsuitable(unlabelled) is None
    assert PcaCodec(by_motion=True).unsuitable(unlabelled) is not None
    assert PcaCodec(by_motion=True).unsuitable(_clips("balls", 1)[0]) is not None
    long = rgb_clip("long", "balls", np.zeros((65, 64, 64, 3), np.uint8))
    small = rgb_clip("small", "balls", np.zeros((2, 32, 64, 3), np.uint8))
    for other in (replace(clip, group="sprites"), long, small):
        assert PcaCodec().unsuitable(other) is not None
        with pytest.raises(CannotCode):
            PcaCodec().encode(other, 0)
    for quality in (-1, 5, 0.5):
        with pytest.raises(CannotCode):
            PcaCodec().settings(clip, quality)
