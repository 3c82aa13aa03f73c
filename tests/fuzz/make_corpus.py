"""Makes the hostile files of `corpus/` and their list: `python -m tests.fuzz.make_corpus`.

All are golden streams with something changed, and CRCs that hold unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np

from bitstream import FrequencyTables, Gop, MalformedError, Segment, SymbolEncoder, join, split
from bitstream.limits import MAX_PREDICTED
from dsaecodec.model_io import load_model
from dsaecodec.spatial.gop_coder import code_content, iter_dynamics
from dsaecodec.spatial.kinematics import Place
from dsaecodec.spatial.pictures import grid_size
from tests.fuzz.parts import BYTE, RAW, SIGNED, VARINT, Field, Part, Stream, take_apart
from tests.fuzz.seeds import GOLDEN, repeated, with_sound

FOLDER = Path(__file__).parent / "corpus"
GOPS, EVERYTHING = "v1-natural-three-gops", "v2-natural-everything"
COMPACT, SPRITES = "v2-natural-compact", "v3-sprites"
PREDICTED, PRECISE = "v2-predicted-everything", "v2-precise-everything"
SYMBOL_LIMIT = 1 << 30


@dataclass(frozen=True)
class Hostile:
    """A file.

    Attributes:
        name: of the file, without its suffix.
        tries: what it tries.
        outcome: what `Target.run` says of it.
        make: its bytes.
    """

    name: str
    tries: str
    outcome: str
    make: Callable[[], bytes]


def golden(name: str) -> bytes:
    """A golden stream."""
    return (GOLDEN / f"{name}.dsz").read_bytes()


def changed(name: str, change: Callable[[Stream], object], *, true_end: bool = True) -> bytes:
    """A golden stream after a change of its pieces."""
    stream = take_apart(golden(name))
    stream.true_end = true_end
    change(stream)
    return stream.pack()


def put(kind: int, **values: int | bytes) -> Callable[[Stream], None]:
    """Changes fields of the first record of a type; `_` in a name stands for a space."""

    def change(stream: Stream) -> None:
        part = stream.of(kind)[0]
        for name, value in values.items():
            part.put(name.replace("_", " "), value)

    return change


def lie(kind: int, by: int) -> Callable[[Stream], None]:
    """A tag that states another length."""

    def change(stream: Stream) -> None:
        stream.of(kind)[0].length_off = by

    return change


def surplus(stream: Stream) -> None:
    """A varint longer than it need be."""
    stream.parts[0].fields[1].surplus = 1


def references(stream: Stream) -> None:
    """The first GOP refers to one before."""
    stream.of(1)[0].fields[0].value = 0x80 | stream.of(1)[0].number("quality")


def overlap(stream: Stream) -> None:
    """A second dynamics record for frames that had one."""
    at = next(i for i, part in enumerate(stream.parts) if part.kind == 2)
    stream.parts.insert(at, stream.copy().parts[at])


def as_rgb(stream: Stream) -> None:
    """RGB, which the model does not make."""
    stream.form = 3
    put(0, colour=0x80, pixel_format=1)(stream)


def no_track(stream: Stream) -> None:
    """Sound packets that no track announces."""
    stream.parts[0].put("flags", 1)
    stream.parts[0].fields = stream.parts[0].fields[:10]


def times(start: int, changes: list[int]) -> Callable[[Stream], None]:
    """Other times for the first GOP."""

    def change(stream: Stream) -> None:
        at = next(i for i, part in enumerate(stream.parts) if part.kind == 1)
        fields = [Field("start", VARINT, start)]
        fields += [Field("change of duration", SIGNED, step) for step in changes]
        stream.parts.insert(at, Part(5, fields))

    return change


def one_frame_a_segment(stream: Stream) -> None:
    """32 frames, each with a restart and no coder bytes."""
    first = stream.of(1)[0]
    first.put("frames less one", 31)
    segments = [
        Part(2, [Field("first", BYTE, t), Field("frames", BYTE, 0), Field("coder", RAW, b"")])
        for t in range(32)
    ]
    stream.parts = [stream.parts[0], first, *segments]
    stream.true_end = True


def many_packets(stream: Stream) -> None:
    """Thousands of sound packets of one byte and one sample each."""
    part = stream.of(4)[-1]
    packet = [Field("size", VARINT, 2), Field("packet", RAW, b"\xfc")]
    opening = [Field("start", SIGNED, 9000), Field("size", VARINT, 3), Field("duration", VARINT, 1)]
    part.fields = [*opening, Field("packet", RAW, b"\xfc"), *packet * 2_000]


def index_into_records(stream: Stream) -> None:
    """An index whose entries lead into the middle of GOPs; their sum is right."""
    entries = [each for each in stream.of(6)[0].fields if each.form == VARINT]
    assert isinstance(entries[3].value, int) and isinstance(entries[4].value, int)
    entries[3].value += 1
    entries[4].value -= 1


def wrong_signature() -> bytes:
    """A header record that is signed without the signature before it."""
    stream = take_apart(golden(GOPS))
    header, rest = stream.parts[0], stream.parts[1:]
    packed = b"".join(part.pack() for part in rest)
    return b"DSZ\x02" + header.pack() + packed


class Says:
    """A coder that encodes what it is told to.

    Args:
        tables: of the model.
        first: the only symbol of the first call, less what its table is about.
        rest: every other symbol, likewise.
    """

    def __init__(self, tables: FrequencyTables, first: int, rest: int) -> None:
        self.encoder, self._next, self._rest = SymbolEncoder(tables), first, rest

    def code(self, table_index: np.ndarray, symbols: object) -> np.ndarray:
        """What a decoder would say: the symbol."""
        said = np.full(table_index.shape, self._next, np.int32)
        self._next = self._rest
        return self.encoder.code(table_index, said)


def with_symbols(value: int) -> bytes:
    """A stream whose every symbol is as far from its prior's mean as the format allows."""
    header, _ = split(golden(COMPACT))
    loaded = load_model(None, "cpu", header.model)
    size = grid_size(header.height, header.width)
    content, dynamics = (Says(loaded.tables, value, value) for _ in range(2))
    code_content(loaded.spatial, content, size, 50, None)
    frames = 2
    list(iter_dynamics(loaded.spatial, dynamics, size, 50, Place.whole(frames, False), None))
    segment = Segment(0, frames, dynamics.encoder.finish())
    return join(header, [Gop(50, False, frames, content.encoder.finish(), (segment,))])


def with_content(first: int, rest: int, name: str = PREDICTED) -> bytes:
    """A stream whose second content says other symbols, the first how it is predicted."""
    header, gops = split(golden(name))
    loaded = load_model(None, "cpu", header.model)
    coder = Says(loaded.tables, first, rest)
    with suppress(MalformedError):
        size = grid_size(header.height, header.width)
        code_content(loaded.spatial, coder, size, gops[1].quality, None)
    return join(
        header, [gops[0], replace(gops[1], content=coder.encoder.finish(), times=None, sound=())]
    )


def predicted_from_nothing() -> bytes:
    """Contents that are predicted, in GOPs that refer to none."""
    header, gops = split(golden(PREDICTED))
    return join(header, [replace(gops[1], refs_previous=False, times=None, sound=())])


def predicted_without_end() -> bytes:
    """More predicted contents in a row than the format allows, of one frame of 16x16 each."""
    header, _ = split(golden(PREDICTED))
    loaded = load_model(None, "cpu", header.model)
    size, quality = (1, 1), 50

    def quiet(predicted: bool) -> Gop:
        content = Says(loaded.tables, predicted - 1, 0)
        motion = code_content(loaded.spatial, content, size, quality, None).motion
        place, dynamics = Place.whole(1, predicted, motion), Says(loaded.tables, 0, 0)
        list(iter_dynamics(loaded.spatial, dynamics, size, quality, place, None))
        segment = Segment(0, 1, dynamics.encoder.finish())
        return Gop(quality, predicted, 1, content.encoder.finish(), (segment,))

    gops = [quiet(False), *[quiet(True)] * (MAX_PREDICTED + 1)]
    return join(replace(header, width=16, height=16, sound=None), gops)


def noise(size: int) -> bytes:
    """Reproducible bytes."""
    return Random(size).randbytes(size)


def indexed() -> Stream:
    """The first GOP of a golden stream ten times, in pieces."""
    header, gops = split(golden(GOPS))
    return take_apart(repeated(join(header, gops[:1]), 10))


def indexed_with(change: Callable[[Stream], None]) -> bytes:
    """A stream with an index, with something changed and nothing made true again."""
    stream = indexed()
    stream.true_end = False
    change(stream)
    return stream.pack()


def sound_of(**values: int | bytes) -> bytes:
    """A stream with sound whose track or first packet says something else."""
    stream = take_apart(with_sound(golden(GOPS)))
    for kind in (0, 4):
        put(kind, **values)(stream)
    return stream.pack()


CORPUS = [
    Hostile("size-largest", "2^27 pixels, three GOPs, 1 kB: the cost of decoding", "read",
            lambda: changed(EVERYTHING, put(0, width=16384, height=8192))),
    Hostile("size-beyond", "a side of 16385", "read: MalformedError",
            lambda: changed(EVERYTHING, put(0, width=16385))),
    Hostile("size-product", "sides that are legal, a product that is not", "read: MalformedError",
            lambda: changed(EVERYTHING, put(0, width=16384, height=16384))),
    Hostile("size-none", "a width of 0", "read: MalformedError",
            lambda: changed(EVERYTHING, put(0, width=0))),
    Hostile("size-another", "1x1 instead of 50x34, same coder bytes", "symbols: MalformedError",
            lambda: changed(EVERYTHING, put(0, width=1, height=1))),
    Hostile("length-longest", "a tag that promises 64 MiB: the reader's memory",
            "read: TruncatedError", lambda: changed(EVERYTHING, lie(1, (1 << 26) - 1000))),
    Hostile("length-beyond", "a tag that promises 2^40 bytes", "read: MalformedError",
            lambda: changed(EVERYTHING, lie(1, 1 << 40))),
    Hostile("length-short", "a tag one byte short, CRC over what it covers", "read: ChecksumError",
            lambda: changed(EVERYTHING, lie(2, -1))),
    Hostile("varint-long", "a width in two bytes where one does", "read: MalformedError",
            lambda: changed(GOPS, surplus)),
    Hostile("varint-endless", "a tag without an end", "read: MalformedError",
            lambda: b"DSZ\x02" + b"\xff" * 64),
    Hostile("signature-unsigned", "a header whose CRC leaves the signature out: a version swapped",
            "read: ChecksumError", wrong_signature),
    Hostile("refs-first", "a first GOP that refers to one before", "read: MalformedError",
            lambda: changed(EVERYTHING, references)),
    Hostile("segment-twice", "dynamics for frames that had some", "read: MalformedError",
            lambda: changed(EVERYTHING, overlap)),
    Hostile("segments-many", "32 restarts without a coder byte", "file",
            lambda: changed(EVERYTHING, one_frame_a_segment)),
    Hostile("frames-more", "a compact form of 32 frames with the coder bytes of 4",
            "symbols: MalformedError",
            lambda: changed(COMPACT, put(8, **{"frames less one": 31}))),
    Hostile("content-beyond", "a compact form's content longer than the file",
            "read: MalformedError",
            lambda: changed(COMPACT, put(8, content_length=1 << 25), true_end=False)),
    Hostile("coder-noise", "noise as coder bytes", "symbols: MalformedError",
            lambda: changed(EVERYTHING, put(1, coder=noise(400)))),
    Hostile("coder-zeros", "zero bytes behind the coder's: another spelling of the same symbols",
            "symbols: MalformedError",
            lambda: changed(SPRITES, lambda s: s.parts[0].fields[-1].__setattr__(
                "value", s.parts[0].fields[-1].value + b"\0"))),  # type: ignore[operator]
    Hostile("coder-ones", "ones without end: escapes", "symbols: MalformedError",
            lambda: changed(EVERYTHING, put(1, coder=b"\xff" * 400))),
    Hostile("symbols-largest", "every symbol 2^30 from its mean: floats that overflow", "file",
            lambda: with_symbols(SYMBOL_LIMIT)),
    Hostile("symbols-least", "every symbol -2^30 from its mean", "file",
            lambda: with_symbols(-SYMBOL_LIMIT)),
    Hostile("predicted-first", "a content predicted from the GOP before, of which there is none",
            "symbols: MalformedError", predicted_from_nothing),
    Hostile("predicted-row", "261 contents in a row, each predicted from the one before",
            "symbols: MalformedError", predicted_without_end),
    Hostile("predicted-neither", "a content that says 2 where 0 or 1 say whether it is predicted",
            "symbols: MalformedError", lambda: with_content(1, 0)),
    Hostile("predicted-farthest", "f_motion and what is lacking 2^30 from their means", "file",
            lambda: with_content(0, SYMBOL_LIMIT)),
    Hostile("precise-neither", "a content that says 4 where 0 to 3 say how it is predicted",
            "symbols: MalformedError", lambda: with_content(2, 0, PRECISE)),
    Hostile("precise-farthest", "f_motion 2^30 from its means, beyond what is legal",
            "symbols: MalformedError", lambda: with_content(1, SYMBOL_LIMIT, PRECISE)),
    Hostile("regression-colour-rgb", "RGB of a model that makes 4:2:0: planes of two sizes",
            "symbols: MalformedError", lambda: changed(EVERYTHING, as_rgb)),
    Hostile("model-other", "a stream of one family that names a model of the other",
            "symbols: MalformedError",
            lambda: changed(GOPS, put(0, model=golden(SPRITES)[4:8]))),
    Hostile("model-unknown", "a model that is not here", "model: ModelError",
            lambda: changed(GOPS, put(0, model=b"\0\0\0\0"))),
    Hostile("rate-fastest", "2^31 frames a second, which no container takes", "file: OutputError",
            lambda: changed(GOPS, put(0, rate_numerator=1 << 31, rate_denominator=1))),
    Hostile("rate-slowest", "a frame in 68 years, which no container takes", "file: OutputError",
            lambda: changed(GOPS, put(0, rate_numerator=1, rate_denominator=1 << 31))),
    Hostile("aspect-flattest", "pixels 65536 times as wide as high", "file",
            lambda: changed(EVERYTHING, put(0, aspect_numerator=1 << 16, aspect_denominator=1))),
    Hostile("times-longest", "frames of 2^40 ticks, 141 days each", "file",
            lambda: times_only(0, [(1 << 40) - 3600])),
    Hostile("times-beyond", "a GOP that starts at tick 2^53", "read: MalformedError",
            lambda: times_only(1 << 53, [0])),
    Hostile("end-counts", "an end record of 2^31 GOPs", "read: MalformedError",
            lambda: changed(GOPS, put(3, number_of_GOPs=1 << 31), true_end=False)),
    Hostile("end-twice", "a second stream behind the end", "read: MalformedError",
            lambda: golden(GOPS) * 2),
    Hostile("index-offsets", "an index into the middle of records", "read: MalformedError",
            lambda: indexed_with(index_into_records)),
    Hostile("index-distance", "an end record that sends a seek 2^32 bytes back",
            "read: MalformedError",
            lambda: indexed_with(put(3, distance=b"\xff\xff\xff\xff"))),
    Hostile("index-loop", "an end record that sends a seek to itself", "read: MalformedError",
            lambda: indexed_with(put(3, distance=b"\x0c\0\0\0"))),
    Hostile("sound-untracked", "sound without a track", "read: MalformedError",
            lambda: changed(EVERYTHING, no_track)),
    Hostile("sound-packets", "2,001 packets of one byte", "file",
            lambda: changed(EVERYTHING, many_packets)),
    Hostile("sound-late", "a packet at sample 2^53", "read: MalformedError",
            lambda: sound_of(start=1 << 53)),
    Hostile("sound-codec", "a codec that no player has", "file",
            lambda: sound_of(codec=b"nons")),
    Hostile("sound-video", "a video codec as sound", "file",
            lambda: sound_of(codec=b"h264")),
    Hostile("sound-channels", "255 channels", "file", lambda: sound_of(channels=255)),
    Hostile("sound-setup", "setup data that is noise", "file",
            lambda: sound_of(setup=noise(19))),
    Hostile("form-bits", "bits of the compact form in the standard form", "read: MalformedError",
            lambda: b"DSZ\xe2" + golden(EVERYTHING)[4:]),
    Hostile("version-15", "a version to come", "read: UnsupportedVersionError",
            lambda: b"DSZ\x0f" + golden(EVERYTHING)[4:]),
]  # fmt: skip


def times_only(start: int, changes: list[int]) -> bytes:
    """A compact stream of few frames in the standard form, with times."""
    header, gops = split(golden(COMPACT))
    stream = take_apart(join(header, gops * 2))
    del stream.parts[3:]
    times(start, changes + [0] * (gops[0].num_frames - len(changes)))(stream)
    return stream.pack()


def listed() -> str:
    """The list of the files."""
    lines = [
        "# Hostile files", "",
        "Made by `python -m tests.fuzz.make_corpus` from the golden streams, with CRCs that hold.",
        "Outcome: how far `tests/fuzz/target.py` gets, and the error that refuses the file there;",
        "`read`: accepted, and too large to be decoded in a test; `file`: decoded and written as a",
        "video. A file `regression-…` once found a bug.", "",
        "| file | tries | outcome |", "|---|---|---|",
    ]  # fmt: skip
    lines += [f"| `{one.name}` | {one.tries} | {one.outcome} |" for one in CORPUS]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Writes files and list."""
    FOLDER.mkdir(exist_ok=True)
    for hostile in CORPUS:
        (FOLDER / f"{hostile.name}.dsz").write_bytes(hostile.make())
    (FOLDER / "README.md").write_text(listed())


if __name__ == "__main__":
    main()
