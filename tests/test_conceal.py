"""Damaged streams shown all the same: what is intact stays, what is lost is estimated."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
import pytest

import bitstream
import dsaecodec
from bitstream import MalformedError, RecordInfo, RecordType
from dsaecodec.cli import main


def records(data: bytes) -> list[RecordInfo]:
    found: list[RecordInfo] = []
    bitstream.scan(BytesIO(data), found.append)
    return found


def without(data: bytes, record: RecordInfo) -> bytes:
    return data[: record.offset] + data[record.offset + record.size :]


def flipped(data: bytes, record: RecordInfo) -> bytes:
    damaged = bytearray(data)
    damaged[record.offset + record.size - 6] ^= 0x55
    return bytes(damaged)


def leaning_on(clip: dsaecodec.Clip, place: int) -> set[int]:
    """GOPs whose pictures a content shows in, but for its own."""
    leaning: set[int] = set()
    for behind in range(place + 1, len(clip.gops)):
        if not clip.gops[behind].refs_previous:
            break
        leaning.add(behind)
        if not clip.gops[behind].predicted:
            break
    return leaning


EVERYTHING = pytest.mark.parametrize("name", ["golden_everything", "golden_predicted"])


@EVERYTHING
def test_every_record_of_a_real_stream_may_be_lost(name, request):
    data = request.getfixturevalue(name).read_bytes()
    alone = [not gop.predicted for gop in dsaecodec.open(data, device="cpu").gops]
    assert alone[0] and all(alone) == (name == "golden_everything")
    whole = list(dsaecodec.decode(data))
    _, gops = bitstream.split(data)
    starts = np.cumsum([0, *(gop.num_frames for gop in gops)])
    for number, record in enumerate(records(data)[1:]):
        damage = (without, flipped)[number % 2]
        damaged = damage(data, record)
        if record.kind is RecordType.CONTENT and record.gop == 0 and not any(alone[1:]):
            with pytest.raises(MalformedError, match="needs no other is intact"):
                list(dsaecodec.decode(damaged, conceal=True))
            continue
        frames = list(dsaecodec.decode(damaged, conceal=True))
        assert len(frames) == len(whole), record
        hurt = set()
        if record.gop is not None and record.kind in (RecordType.CONTENT, RecordType.DYNAMICS):
            hurt.add(record.gop)
            if record.kind is RecordType.CONTENT:
                hurt |= leaning_on(dsaecodec.open(data, device="cpu"), record.gop)
        for place in set(range(len(gops))) - hurt:
            for t in range(starts[place], starts[place + 1]):
                assert np.array_equal(frames[t], whole[t]), (record, t)


def test_the_command_says_what_it_made_up(golden, tmp_path, capsys):
    data = golden.read_bytes()
    lost = [r for r in records(data) if r.kind is RecordType.DYNAMICS]
    path, out = tmp_path / "clip.dsz", tmp_path / "clip.mkv"
    path.write_bytes(flipped(flipped(data, lost[0]), lost[1]))
    assert main(["decode", str(path), "-o", str(out), "--quiet"]) == 4
    assert "--conceal" in capsys.readouterr().err and not out.exists()
    assert main(["decode", str(path), "-o", str(out), "--conceal", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [fault["offset"] for fault in facts["faults"]] == [lost[0].offset, lost[1].offset]
    assert facts["estimated"] and facts["estimated"][0][0] == 0
    assert main(["verify", str(path)]) == 4
    message = capsys.readouterr().err
    assert all(f"dynamics record at byte {r.offset}" in message for r in lost[:2])
    assert main(["verify", str(path), "--json"]) == 4
    assert len(json.loads(capsys.readouterr().out)["faults"]) == 2


@EVERYTHING
def test_concealment_ends_on_anything(name, request):
    data = request.getfixturevalue(name).read_bytes()
    rng = np.random.default_rng(3)
    for _ in range(5):
        damaged = bytearray(data)
        for _ in range(int(rng.integers(1, 12))):
            damaged[int(rng.integers(60, len(data)))] ^= int(rng.integers(1, 256))
        cut = bytes(damaged[: int(rng.integers(100, len(data) + 1))])
        try:
            assert list(dsaecodec.decode(cut, conceal=True))
        except dsaecodec.errors.BitstreamError as error:
            assert "no content" in str(error) or "no record" in str(error)
