"""Peers through CompressAI: its own strings, and nothing beside them, make the rate."""

from __future__ import annotations

from fractions import Fraction
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from benchmarks.rd.clip import Clip, rgb_clip
from benchmarks.rd.codec import CannotCode, Coded
from benchmarks.rd.codecs import peer, peer_network
from benchmarks.rd.codecs.peer import Peer, peer_codecs, speed_peers
from benchmarks.rd.codecs.peer_network import load_network, video_models
from bitstream.varint import varint_bytes
from dsaecodec.draw import moving_layers
from dsaecodec.errors import UsageError
from dsaecodec.video import Frame420, VideoInfo, frame_to_rgb, rgb_to_420

installed = pytest.mark.skipif(find_spec("compressai") is None, reason="CompressAI is an extra")
DRAWN = list(moving_layers(3, 70, 131, 1))
ART = rgb_clip("art", "small", DRAWN)
KEY = [[b"abc"], [b""]]
INTER = {"motion": [[b"\x80" * 200], [b"z"]], "residual": [[b""], [bytes(300)]]}


@pytest.mark.parametrize(
    "spec", ["ssf2020", "ssf2020=", "other=peer.py", "ssf2020=missing.pth", "="]
)
def test_what_names_no_peer_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match="--peer"):
        peer_codecs([spec])


def test_paths_of_one_name_are_one_curve(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("low=1.pth", "high.pth")]
    for path in paths:
        path.write_bytes(b"weights")
    assert peer_codecs([]) == []
    (found,) = peer_codecs([f"ssf2020={path}" for path in paths])
    assert isinstance(found, Peer)
    assert (found.name, found.checkpoints) == ("ssf2020", tuple(paths))
    assert found.qualities == found.all_qualities == (0, 1)
    with pytest.raises(CannotCode, match="no checkpoint 2"):
        found.settings(ART, 2)


def test_without_compressai_a_peer_cannot_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(peer_network, "version", missing)
    load_network.cache_clear()
    (found,) = speed_peers()
    for call in (lambda: found.settings(ART, 0), lambda: found.encode(ART, 0)):
        with pytest.raises(CannotCode, match=r"pip install -e '\.\[bench\]'"):
            call()


def test_packets_hold_strings_and_their_lengths() -> None:
    for strings, key, lengths in ((KEY, True, (3, 0)), (INTER, False, (200, 1, 0, 300))):
        packet = peer._pack(strings)
        assert len(packet) == sum(n + varint_bytes(n) for n in lengths)
        assert peer._unpack(packet, key) == strings


@pytest.mark.parametrize(
    "packets",
    [(), (b"",), (b"\0" + peer._pack(KEY)[:-1],), (b"\0" + peer._pack(KEY) + b"\0",),
     (b"\0" + peer._pack(KEY), peer._pack(INTER)[:-1]), (b"\7" + peer._pack(KEY),)],
)  # fmt: skip
def test_damaged_packets_are_refused(packets: tuple[bytes, ...]) -> None:
    with pytest.raises(CannotCode):
        speed_peers()[0].decode(Coded(packets), ART)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Weights of two networks that send something, in the three forms that are read."""
    folder, states = tmp_path_factory.mktemp("weights"), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        network = video_models().ScaleSpaceFlow()
        with torch.no_grad():
            for encoder in (network.img_encoder, network.res_encoder, network.motion_encoder):
                encoder[-1].weight.mul_(300)
        states.append(network.state_dict())
    network.update()  # the last has tables already, the first two have not
    torch.save(states[0], folder / "plain.pth")
    torch.save({"epoch": 3, "state_dict": network.state_dict()}, folder / "trained.pth.tar")
    save_file(states[0], folder / "same.safetensors")
    return [folder / name for name in ("plain.pth", "trained.pth.tar", "same.safetensors")]


@pytest.fixture(scope="module")
def ssf(checkpoints: list[Path]) -> Peer:
    (found,) = peer_codecs([f"ssf2020={path}" for path in checkpoints])
    assert isinstance(found, Peer)
    return found


def forward(path: Path) -> list[np.ndarray[Any, Any]]:
    """What the network itself makes of the pictures, without entropy coding."""
    network = load_network("ssf2020", path)
    x = torch.from_numpy(np.stack(DRAWN)).movedim(3, 1) / 255
    x = torch.nn.functional.pad(x, (0, 256 - 131, 0, 128 - 70), mode="replicate")
    with torch.no_grad():
        found = network([frame[None] for frame in x])["x_hat"]
    return [f[0, :, :70, :131].clamp(0, 1).movedim(0, 2).numpy() * 255 for f in found]


@installed
def test_decoded_pictures_are_the_networks(ssf: Peer) -> None:
    for quality in (0, 1):
        coded = ssf.encode(ART, quality)
        decoded = ssf.decode(coded, ART)
        expected = forward(ssf.checkpoints[quality])
        assert len(coded.packets) == len(decoded) == len(expected) == 3
        assert coded.num_bytes > 1000
        for a, b in zip(decoded, expected, strict=True):
            assert isinstance(a, np.ndarray) and a.shape == (70, 131, 3) and a.dtype == np.uint8
            assert np.abs(a - b).max() < 0.51


@installed
def test_the_rate_is_all_strings_their_lengths_and_one_byte(ssf: Peer) -> None:
    network = load_network("ssf2020", ssf.checkpoints[0])
    with torch.no_grad():
        strings, shapes = network.compress(peer._to_tensors(DRAWN))
    assert shapes[0] == torch.Size([1, 2])
    flat = [s for group in strings[0] for s in group]
    flat += [s for t in (1, 2) for k in ("motion", "residual") for (s,) in strings[t][k]]
    assert len(flat) == 2 + 4 + 4
    expected = 1 + sum(len(s) + varint_bytes(len(s)) for s in flat)
    assert ssf.encode(ART, 0).num_bytes == expected


@installed
def test_checkpoints_are_told_apart(ssf: Peer) -> None:
    first, second, same = (ssf.encode(ART, quality).packets for quality in ssf.qualities)
    assert first[0][0] == 0 and second[0][0] == 1
    assert first[1:] == same[1:] != second[1:]
    assert len({ssf.settings(ART, quality) for quality in ssf.qualities}) == 3
    size = ssf.size(ART)
    assert size and size.num_bytes == ssf.checkpoints[0].stat().st_size
    assert size.numbers == 34_209_609


@installed
def test_video_goes_by_way_of_rgb(ssf: Peer) -> None:
    info = VideoInfo(131, 70, Fraction(25), 6, False)
    frames = [rgb_to_420(rgb, 6, False) for rgb in DRAWN]
    video = Clip("video", "drawn", "yuv420", info, frames)
    rgb = rgb_clip("rgb", "drawn", [frame_to_rgb(frame, 6, False) for frame in frames])
    coded = ssf.encode(video, 0)
    assert coded == ssf.encode(rgb, 0)
    for a, b in zip(ssf.decode(coded, video), ssf.decode(coded, rgb), strict=True):
        assert isinstance(a, Frame420) and isinstance(b, np.ndarray)
        again = rgb_to_420(b, 6, False)
        assert all(np.array_equal(p, q) for p, q in zip(a.planes, again.planes, strict=True))


@installed
def test_other_files_are_no_checkpoints(ssf: Peer, tmp_path: Path) -> None:
    for name, write in (("no.pth", lambda p: p.write_bytes(b"no")),
                        ("list.pth", lambda p: torch.save([1], p)),
                        ("other.pth", lambda p: torch.save({"a": torch.ones(2)}, p)),
                        ("no.safetensors", lambda p: p.write_bytes(b"no"))):  # fmt: skip
        write(tmp_path / name)
        (found,) = peer_codecs([f"ssf2020={tmp_path / name}"])
        with pytest.raises(CannotCode, match="not a checkpoint of ssf2020"):
            found.encode(ART, 0)


@installed
def test_random_weights_are_the_same_every_time() -> None:
    (found,) = speed_peers()
    coded = found.encode(ART, 0)
    load_network.cache_clear()
    assert found.encode(ART, 0) == coded and len(found.decode(coded, ART)) == 3
    assert "random weights" in found.settings(ART, 0)
