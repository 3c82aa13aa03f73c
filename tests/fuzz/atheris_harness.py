"""Coverage-guided fuzzing: `python -m tests.fuzz.atheris_harness FOLDER -max_total_time=600`.

Needs `pip install atheris`; nothing else here imports it. FOLDER keeps what reached new code; it is
filled with the golden streams and drawn clips where it is empty. libFuzzer's options follow it.

libFuzzer's own mutations would all die at a CRC. So half of the mutants are made by ours: a stream
that can be taken apart is mutated in pieces and signed again.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from tempfile import mkdtemp

import atheris

with atheris.instrument_imports(include=["bitstream", "dsaecodec"]):
    from bitstream import CodecError, scan
    from tests.fuzz.mutate import Mutator, raw_mutant
    from tests.fuzz.parts import take_apart
    from tests.fuzz.seeds import drawn_streams, golden_streams
    from tests.fuzz.target import Depth, Target

from io import BytesIO

DEPTH = Depth(symbols=True, pixels=True, signed_coders=True)


def main() -> None:
    """Fill the folder, set up, go on until told to stop."""
    seeds = golden_streams() | drawn_streams()
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        folder = Path(sys.argv[1])
        folder.mkdir(exist_ok=True)
        if not any(folder.iterdir()):
            for name, data in seeds.items():
                (folder / name).write_bytes(data)
    target = Target(Path(mkdtemp(prefix="dsz-atheris-")))
    known = [take_apart(data, name) for name, data in seeds.items()]
    of_known = Mutator(known, target.identities)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        rng = Random(seed)
        if rng.random() < 0.1:
            return raw_mutant(data, rng)[:max_size]
        try:
            scan(BytesIO(data))
            stream = take_apart(data, "corpus")
        except CodecError:
            return of_known.signed(rng)[0][:max_size]
        return Mutator([stream], target.identities).signed(rng)[0][:max_size]

    def one(data: bytes) -> None:
        target.run(data, DEPTH)

    atheris.Setup(sys.argv, one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
