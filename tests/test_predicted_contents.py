"""Contents that are what the one before lacks: coded, sought, swapped, lost."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch

import bitstream
import dsaecodec
from bitstream import MalformedError, RecordType, SymbolEncoder
from bitstream.limits import MAX_PREDICTED
from dsaecodec.codec import Decoder
from dsaecodec.codec.threads import limited_threads
from dsaecodec.draw import moving_layers
from dsaecodec.generation import predict, swap
from dsaecodec.model_io import load_model
from dsaecodec.spatial.gop_coder import code_content
from dsaecodec.spatial.model import SpatialModel
from dsaecodec.spatial.synthesis import Planes, Yuv
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


def tensors(planes: Planes) -> list[torch.Tensor]:
    return [*planes.picture, *planes[1:]]


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


@pytest.mark.parametrize(
    ("model", "last", "said"),
    [("natural-7", 1, -1), ("natural-7", 1, 2), (None, 3, -1), (None, 3, 4)],
)
def test_it_is_predicted_or_not(model, last, said):
    loaded = load_model(model, "cpu")

    class Says:
        """A coder whose first symbol is another."""

        def code(self, table, symbols):
            begin = (last + 1) // 2  # means of a half and of one and a half are coded from there
            return np.full(table.shape, said - begin, np.int32)

    expected = f"found {said}, expected 0 to {last}"
    with pytest.raises(MalformedError, match=expected), limited_threads(1):
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


def without_content(data: bytes, place: int) -> io.BytesIO:
    (lost,) = [r for r in records(data) if r.kind is RecordType.CONTENT and r.gop == place]
    return io.BytesIO(without(data, lost))


def test_nothing_is_shown_where_every_content_leans_on_a_lost_one(data):
    with pytest.raises(MalformedError, match="needs no other is intact"):
        list(Decoder(without_content(data, 0), device="cpu", conceal=True))


@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_lost_content_is_held_until_one_stands_alone(place, monkeypatch):
    """Two shots; the content of a GOP of the first is lost."""
    frames = pan(13, HEIGHT, WIDTH, 8) + pan(9, HEIGHT, WIDTH, 1)
    data = dsaecodec.encode(frames, quality=60, gop=4, device="cpu")
    gops = dsaecodec.open(data, device="cpu").gops
    assert [gop.predicted for gop in gops] == [False, True, True, True, False, True, True]
    assert gops[4].first_frame == 13 and not gops[4].refs_previous
    whole = list(Decoder(io.BytesIO(data), device="cpu"))
    contents = contents_of_frames(monkeypatch)
    decoder = Decoder(without_content(data, place), device="cpu", conceal=True, threads=1)
    found = list(decoder)
    first = gops[place].first_frame
    assert decoder.estimated == [(first, 12)]
    intact = [*range(first), *range(13, 22)]
    assert all(np.array_equal(found[t].y, whole[t].y) for t in intact)
    assert len(contents) == 22
    lost = range(first, first + gops[place].num_frames)
    for t in lost:  # coded anew where it was predicted itself
        made = contents[t].numpy()
        assert psnr(made, contents[first - 1].numpy()) > 35
        assert psnr(made, contents[13].numpy()) < 15


def contents_of_frames(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Luma of the content that each frame is made from, as frames are made."""
    contents, synthesize = list[torch.Tensor](), SpatialModel.synthesize

    def spy(model: SpatialModel, planes: Planes, before: Planes | None, z: torch.Tensor) -> Yuv:
        contents.extend(planes.picture.luma[:1] for _ in z)
        return synthesize(model, planes, before, z)

    monkeypatch.setattr(SpatialModel, "synthesize", spy)
    return contents


def test_shots_that_a_loss_joins_are_shown():
    """Both are shorter than the longest row of predicted contents, but not together.

    The GOP between them is gone without a trace: which it was cannot be told.
    """
    short = dsaecodec.encode(pan(3, 16, 16, 3), quality=50, gop=1, device="cpu")
    with dsaecodec.open(short, device="cpu") as clip:
        shot = [clip.gops[0].coded, *[clip.gops[1].coded] * 149]
        assert clip.gops[1].predicted and 2 * len(shot) > MAX_PREDICTED + 1
        data = bitstream.join(clip.header, [*shot, *shot])
    lost = [r for r in records(data) if r.gop == 150]
    assert [r.kind for r in lost] == [RecordType.CONTENT, RecordType.DYNAMICS]
    for record in reversed(lost):
        data = without(data, record)
    decoder = Decoder(io.BytesIO(data), device="cpu", conceal=True)
    assert len(list(decoder)) == 300
    assert decoder.estimated


@pytest.mark.parametrize("count", [260, 261])
def test_a_row_of_predicted_contents_has_an_end(count):
    """Readers know how far back they have to look."""
    data = dsaecodec.encode(pan(3, 16, 16, 3), quality=50, gop=1, device="cpu")
    with dsaecodec.open(data, device="cpu") as clip:
        first, second, _ = (gop.coded for gop in clip.gops)
        assert clip.gops[1].predicted
        stream = bitstream.join(clip.header, [first, *[second] * count])
    last = count / 25
    if count > MAX_PREDICTED:
        for start in (0, last):
            with pytest.raises(MalformedError, match="predicted"):
                list(dsaecodec.decode(stream, device="cpu", start=start))
        with pytest.raises(MalformedError, match="261 in a row are predicted"):
            dsaecodec.open(stream, device="cpu").frame(-1)
        return
    *_, shown = dsaecodec.decode(stream, device="cpu")
    (sought,) = dsaecodec.decode(stream, device="cpu", start=last)
    assert np.array_equal(shown, sought)
    assert np.array_equal(shown, dsaecodec.open(stream, device="cpu").frame(-1))


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


def test_errors_do_not_grow_from_content_to_content(monkeypatch):
    """What a machine rounds otherwise in one picture is no more in those predicted from it."""
    data = dsaecodec.encode(pan(65, HEIGHT, WIDTH, 3), quality=50, gop=4, device="cpu")
    assert all(gop.predicted for gop in dsaecodec.open(data, device="cpu").gops[1:])
    real = SpatialModel.synthesize_content

    def pictures(error: float) -> list[torch.Tensor]:
        made: list[torch.Tensor] = []

        def synthesize(self, f_hat, quality, prediction=None):
            planes = real(self, f_hat, quality, prediction)
            if not made:
                noise = (error * torch.randn(x.shape) for x in tensors(planes))
                luma, chroma, *others = (x + n for x, n in zip(tensors(planes), noise, strict=True))
                planes = Planes(Yuv(luma, chroma), *others)
            made.append(planes.picture.luma)
            return planes

        monkeypatch.setattr(SpatialModel, "synthesize_content", synthesize)
        assert len(list(dsaecodec.decode(data, device="cpu"))) == 65
        return made

    torch.manual_seed(0)
    pairs = zip(pictures(0.0), pictures(0.01), strict=True)
    apart = [float((a - b).square().mean().sqrt()) for a, b in pairs]
    assert len(apart) == 17 and 0 < max(apart[8:]) < apart[0] == pytest.approx(0.01, rel=0.1)
