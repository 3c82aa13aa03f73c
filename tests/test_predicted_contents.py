"""Contents that are what the one before lacks: coded, sought, swapped, lost."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

import bitstream
import dsaecodec
from bitstream import MalformedError, RecordType, SymbolEncoder
from dsaecodec.codec import Decoder
from dsaecodec.codec.threads import limited_threads
from dsaecodec.draw import moving_layers
from dsaecodec.generation import predict, swap
from dsaecodec.model_io import load_model
from dsaecodec.spatial.gop_coder import code_content
from tests.pans import pan
from tests.test_conceal import records, without

HEIGHT, WIDTH = 48, 64


@pytest.fixture(scope="module")
def data() -> bytes:
    """GOPs of 1, 4, 4, 4, 4 and 4 frames."""
    return dsaecodec.encode(pan(21, HEIGHT, WIDTH, 8), quality=60, gop=4, device="cpu")


@pytest.fixture(scope="module")
def clip(data: bytes) -> dsaecodec.Clip:
    return dsaecodec.open(data, device="cpu")


@pytest.fixture(scope="module")
def shown(data: bytes) -> np.ndarray:
    return np.stack(list(dsaecodec.decode(data, device="cpu"))).astype(float)


def picture(seed: int) -> np.ndarray:
    return next(iter(moving_layers(1, HEIGHT, WIDTH, seed)))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255**2 / max(float(np.mean((a - b) ** 2)), 1e-9))


def test_what_is_there_already_costs_little():
    """A picture that only moves, sent again and again."""
    frames = pan(17, HEIGHT, WIDTH, 3)
    clip = dsaecodec.open(dsaecodec.encode(frames, quality=50, gop=4, device="cpu"))
    first, *others = [len(gop.coded.content) for gop in clip.gops]
    assert all(gop.predicted for gop in clip.gops[1:])
    assert max(others) < 0.6 * first


def test_a_content_stands_alone_where_that_is_cheaper():
    """Behind a cut that the plan did not see."""
    one, other = (picture(seed) for seed in (1, 2))
    shades = np.linspace(0, 1, 9)[:, None, None, None]
    fading = np.rint(one * (1 - shades) + other * shades).astype(np.uint8)
    clip = dsaecodec.open(dsaecodec.encode(list(fading), quality=50, gop=8, device="cpu"))
    assert [gop.refs_previous for gop in clip.gops] == [False, True]
    assert not clip.gops[1].predicted and clip.gops[1].f_motion_symbols.shape == (0, 3, 4)


def test_from_any_time_the_same_frames(data, shown):
    for t in range(len(shown)):
        (rgb,) = dsaecodec.decode(data, device="cpu", start=t / 25, num_frames=1)
        assert np.array_equal(rgb, shown[t])


def test_prediction_from_nothing_is_refused(clip):
    gops = [replace(gop.coded, refs_previous=False) for gop in clip.gops[1:]]
    stream = bitstream.join(clip.header, gops)
    with pytest.raises(MalformedError, match="content: predicted from the GOP before"):
        list(dsaecodec.decode(stream, device="cpu"))
    with pytest.raises(MalformedError, match="GOP 0: content: predicted from the GOP before"):
        dsaecodec.open(stream, device="cpu").frame(0)


@pytest.mark.parametrize("said", [-1, 2])
def test_it_is_predicted_or_not(said):
    loaded = load_model(device="cpu")

    class Says:
        """A coder whose first symbol is another."""

        def code(self, table, symbols):
            return np.full(table.shape, said - 1, np.int32)  # the mean is a half, coded from 1

    with pytest.raises(MalformedError, match=f"found {said}, expected 0 or 1"), limited_threads(1):
        code_content(loaded.spatial, Says(), (3, 4), 50, None)


def test_a_swap_shows_the_contents(clip, data, shown):
    """Of a clip with itself: contents of their own at last, the same symbols of dynamics."""
    other = dsaecodec.open(swap(clip, clip), device="cpu")
    assert not any(gop.predicted for gop in other.gops)
    for a, b in zip(clip.gops, other.gops, strict=True):
        assert np.array_equal(a.z_symbols, b.z_symbols)
    assert psnr(np.stack(list(other)), shown) > 30
    assert other.gops[0].coded == clip.gops[0].coded
    again = swap(other, other)
    assert again == other.to_bytes()


def test_a_clip_goes_on(clip, shown):
    longer = np.stack(list(dsaecodec.decode(predict(clip, 3), device="cpu")))
    assert np.array_equal(longer[: clip.gops[-1].first_frame], shown[: clip.gops[-1].first_frame])
    assert len(longer) == len(shown) + 3


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_lost_content_is_held_until_one_stands_alone(data, clip, shown, place):
    (lost,) = [r for r in records(data) if r.kind is RecordType.CONTENT and r.gop == place]
    source = io.BytesIO(without(data, lost))
    if place == 0:
        with pytest.raises(MalformedError, match="needs no other is intact"):
            list(Decoder(source, device="cpu", conceal=True))
        return
    decoder = Decoder(source, device="cpu", conceal=True)
    frames = [frame.y for frame in decoder]
    assert len(frames) == len(shown)
    first = clip.gops[place].first_frame
    assert decoder.estimated == [(first, len(shown) - 1)]


def test_lost_dynamics_begin_with_the_motion_of_the_content():
    """A pan, all of whose dynamics are lost, is shown better than as a row of stills."""
    frames = pan(17, HEIGHT, WIDTH, 3, speed=3)
    data = dsaecodec.encode(frames, quality=70, gop=8, device="cpu")
    lost = [r for r in records(data) if r.kind is RecordType.DYNAMICS and r.gop]
    for record in reversed(lost):
        data = without(data, record)
    shown = np.stack(list(dsaecodec.decode(data, device="cpu", conceal=True))).astype(float)
    contents = [shown[0], shown[8], shown[16]]
    for t in (2, 4, 6, 10, 12, 14):
        still = max(psnr(content, frames[t]) for content in contents)
        assert psnr(shown[t], frames[t]) > still + 3


def test_motion_of_contents_is_coded_as_it_is(clip):
    """Written back, the same bytes."""
    codec = clip.latents
    for gop in clip.gops:
        coder = SymbolEncoder(codec.loaded.tables)
        with limited_threads(1):
            codec.code_content(coder, gop.quality, codec.content(gop.coded))
        assert coder.finish() == gop.coded.content
