"""A few mutants in every run of the tests; many with `python -m tests.fuzz.run`."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bitstream import CodecError, MalformedError, scan, split
from dsaecodec.codec import Decoder
from tests.fuzz import fake_work, make_corpus
from tests.fuzz.make_corpus import CORPUS, Hostile
from tests.fuzz.mutate import Mutator, raw_mutant
from tests.fuzz.parts import take_apart
from tests.fuzz.run import Watch
from tests.fuzz.seeds import drawn_streams, golden_streams
from tests.fuzz.target import Depth, Target

GOLDEN = golden_streams()
STREAMS = [take_apart(data, name) for name, data in GOLDEN.items()]
MUTATOR = Mutator(STREAMS, sorted({split(data)[0].model for data in GOLDEN.values()}))
FULLY = Depth(symbols=True, pixels=True, file=True)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    return Target(tmp_path_factory.mktemp("fuzz"))


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(GOLDEN)), st.integers(0, 1 << 40))
def test_raw_mutants_are_never_accepted(name: str, seed: int) -> None:
    mutant = raw_mutant(GOLDEN[name], Random(seed))
    assume(mutant != GOLDEN[name])
    with pytest.raises(CodecError):
        scan(BytesIO(mutant))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 40), st.booleans())
def test_signed_mutants_raise_nothing_but_our_errors(
    target: Target, seed: int, signed_coders: bool
) -> None:
    mutant, _ = MUTATOR.signed(Random(seed))
    target.run(mutant, replace(FULLY, file=seed % 8 == 0, signed_coders=signed_coders))


def test_mutants_get_deep() -> None:
    """Half of them are read to their end, or the CRCs hid what is behind."""
    mutants = [MUTATOR.signed(Random(seed))[0] for seed in range(200)]
    assert len(set(mutants)) > 180 and not set(mutants) & set(GOLDEN.values())
    read = 0
    for mutant in mutants:
        try:
            scan(BytesIO(mutant))
            read += 1
        except CodecError:
            continue
    assert read > 50


def test_streams_are_followed_to_the_end(target: Target) -> None:
    depths = {name: target.run(data, FULLY) for name, data in (GOLDEN | drawn_streams()).items()}
    assert set(depths.values()) == {"file"}


def test_what_was_taken_apart_goes_together() -> None:
    for name, data in drawn_streams().items():
        assert take_apart(data, name).pack() == data


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda hostile: hostile.name)
def test_corpus(hostile: Hostile, target: Target) -> None:
    data = (make_corpus.FOLDER / f"{hostile.name}.dsz").read_bytes()
    assert data == hostile.make(), "run python -m tests.fuzz.make_corpus"
    assert target.run(data, FULLY) == hostile.outcome


def test_corpus_is_listed() -> None:
    files = {path.stem for path in make_corpus.FOLDER.glob("*.dsz")}
    assert files == {hostile.name for hostile in CORPUS}
    assert (make_corpus.FOLDER / "README.md").read_text() == make_corpus.listed()


def test_rgb_of_a_model_of_420_is_refused_before_a_frame() -> None:
    data = (make_corpus.FOLDER / "regression-colour-rgb.dsz").read_bytes()
    with pytest.raises(MalformedError, match=r"found RGB, expected YUV 4:2:0"):
        Decoder(BytesIO(data), device="cpu")


def test_the_watch_sees_faults_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.run.work", fake_work.work)
    jobs = [(name, 1, 0) for name in ("good", "dies", "good", "hangs", "grows", "good")]
    watch = Watch({}, tmp_path, hang=0.5, memory=500)
    found = [outcome.split(":")[0] for _, outcome in watch.run(jobs)]
    assert found == ["symbols", "crash", "symbols", "hang", "memory", "symbols"]
