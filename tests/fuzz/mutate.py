"""Random changes: of a stream's parts, signed again, and of its raw bytes.

Everything follows from a `random.Random`, so that a seed and a number name a mutant for good.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from tests.fuzz.parts import BYTE, RAW, SIGNED, WHOLE, Field, Part, Stream

# numbers at which a limit, a type or a sign may break
EDGES = tuple(
    {n + d for k in (0, 4, 6, 7, 8, 14, 16, 17, 20, 24, 26, 27, 31, 32, 40, 48, 53, 63, 64)
     for n in (1 << k,) for d in (-1, 0, 1)} | {0, 2, 3, 5, 9, 25, 100, 101, 127, 129, 16384, 90000}
)  # fmt: skip
SIDES = (1, 2, 3, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65)
CODECS = b"aac mp3 flac vorbis pcm_s16le ac3 wmav2 h264 png opus_ a/b \xc3\xa9 text".split()
MATRICES = (0, 1, 2, 5, 6, 9)
RGB_VERSION = 3


class Mutator:
    """Mutants of some streams.

    Args:
        streams: in pieces.
        models: identities that streams may be made to name.
    """

    def __init__(self, streams: Sequence[Stream], models: Sequence[bytes]) -> None:
        self._streams, self._models = streams, models
        self._packed = [stream.copy().pack() for stream in streams]
        self._coders = [
            each.value
            for stream in streams
            for part in stream.parts
            for each in part.fields
            if each.name in ("coder", "content", "dynamics") and isinstance(each.value, bytes)
        ]

    def signed(self, rng: Random) -> tuple[bytes, str]:
        """A mutant whose CRCs hold, and what was done to which stream."""
        which = rng.randrange(len(self._streams))
        mutant, done = self._packed[which], ""
        while mutant in self._packed:  # another model may make one golden stream another
            mutant, done = self._mutant(self._streams[which].copy(), rng)
        return mutant, done

    def _mutant(self, stream: Stream, rng: Random) -> tuple[bytes, str]:
        stream.true_end = rng.random() < 0.85
        done = []
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
            change = rng.choice(self._changes(stream))
            change(stream, rng)
            done.append(change.__name__.strip("_"))
        return stream.pack(), f"{stream.origin}: {', '.join(done)}"

    def _changes(self, stream: Stream) -> list[Callable[[Stream, Random], None]]:
        common = [self._number] * 4 + [self._coder] * 5 + [
            self._raw, self._surplus, self._form, self._model, self._size, self._quality,
            self._tail,
        ]  # fmt: skip
        if stream.compact:
            return [*common, self._frames_compact]
        return [
            *common, self._frames, self._frames, self._segments, self._duplicate, self._delete,
            self._swap, self._splice, self._kind, self._length, self._repeat, self._references,
            self._colour, self._sound, self._times, self._drop_field,
        ]  # fmt: skip

    def _number(self, stream: Stream, rng: Random) -> None:
        """Any integer becomes an edge, or a neighbour, or noise."""
        fields = [each for part in stream.parts for each in part.fields if each.form != RAW]
        if not fields:
            return
        each = rng.choice(fields)
        assert isinstance(each.value, int)
        value = rng.choice((
            rng.choice(EDGES), each.value + rng.choice((-2, -1, 1, 2)), each.value ^ 0x80,
            rng.getrandbits(rng.choice((4, 8, 16, 33))),
        ))  # fmt: skip
        each.value = -value if each.form == SIGNED and rng.random() < 0.5 else value

    def _coder(self, stream: Stream, rng: Random) -> None:
        """Coder bytes become others."""
        names = ("coder", "content", "dynamics")
        fields = [each for part in stream.parts for each in part.fields if each.name in names]
        if not fields:
            return
        each = rng.choice(fields)
        assert isinstance(each.value, bytes)
        n = rng.choice((0, 1, 2, 3, 8, 40, 200))
        each.value = rng.choice((
            raw_mutant(each.value, rng), raw_mutant(each.value, rng), rng.choice(self._coders),
            rng.randbytes(n), bytes(n), b"\xff" * n, each.value + rng.randbytes(n),
            each.value[: rng.randrange(len(each.value) + 1)],
        ))  # fmt: skip

    def _raw(self, stream: Stream, rng: Random) -> None:
        """Other bytes in any raw field, its length stated elsewhere or not."""
        fields = [each for part in stream.parts for each in part.fields if each.form == RAW]
        if fields:
            each = rng.choice(fields)
            assert isinstance(each.value, bytes)
            each.value = raw_mutant(each.value, rng)

    def _surplus(self, stream: Stream, rng: Random) -> None:
        """A varint longer than it need be."""
        fields = [e for p in stream.parts for e in p.fields if e.form not in (RAW, BYTE)]
        if fields:
            rng.choice(fields).surplus = rng.choice((1, 2, 9))

    def _form(self, stream: Stream, rng: Random) -> None:
        """Another version, or other flags."""
        if rng.random() < 0.5:
            stream.form = stream.form & 0xF0 | rng.choice((1, 2, 3, 3, 4, 15, 0))
        else:
            stream.form ^= 1 << rng.randrange(8)

    def _model(self, stream: Stream, rng: Random) -> None:
        """Another model that is here, with size and colour as it likes them, or without."""
        rng.choice(stream.parts).put("model", rng.choice(self._models))
        if rng.random() < 0.5:
            self._recolour(stream, rng.random() < 0.5)
            for name in ("width", "height"):
                stream.parts[0].put(name, 64)

    def _size(self, stream: Stream, rng: Random) -> None:
        """Another size, mostly a small one."""
        sides = SIDES if rng.random() < 0.8 else EDGES
        for name in rng.choice((("width",), ("height",), ("width", "height"))):
            stream.parts[0].put(name, rng.choice(sides))

    def _quality(self, stream: Stream, rng: Random) -> None:
        """Another quality."""
        for part in rng.choice((stream.parts, stream.parts[:2], [rng.choice(stream.parts)])):
            part.put("quality", part.number("quality") & 0x80 | rng.randrange(102))

    def _tail(self, stream: Stream, rng: Random) -> None:
        """Bytes behind the end."""
        stream.tail = rng.choice((b"\0", b"DSZ", rng.randbytes(9), stream.copy().pack()))

    def _frames_compact(self, stream: Stream, rng: Random) -> None:
        """Another number of frames."""
        kept = stream.parts[0].number("frames less one") & 0x80
        stream.parts[0].put("frames less one", kept | rng.choice((0, 1, 2, 3, 7, 31, 127)))

    def _frames(self, stream: Stream, rng: Random) -> None:
        """Another number of frames in a GOP, whose segments agree."""
        count = rng.choice((1, 1, 2, 3, 4, 8, 32, 128))
        self._cut(stream, rng, count, min(count, rng.choice((1, 1, 2, 3))))

    def _segments(self, stream: Stream, rng: Random) -> None:
        """As many frames in other segments."""
        for part in stream.of(1)[:1]:
            count = part.number("frames less one") % 128 + 1
            self._cut(stream, rng, count, rng.randint(1, count))

    def _cut(self, stream: Stream, rng: Random, count: int, segments: int) -> None:
        gops = [gop for gop in stream.gops() if {1, 2} <= {part.kind for part in gop}]
        if not gops:
            return
        gop = rng.choice(gops)
        content = next(part for part in gop if part.kind == 1)
        content.put("frames less one", count - 1)
        old = [part for part in gop if part.kind == 2]
        starts = [0, *sorted(rng.sample(range(1, count), segments - 1)), count]
        at = next(i for i, part in enumerate(stream.parts) if part is old[0])
        stream.parts = [part for part in stream.parts if not any(part is each for each in old)]
        for first, last in zip(starts[-2::-1], starts[:0:-1], strict=True):
            coder = rng.choice(old).get("coder")
            fields = [Field("first frame", BYTE, first)]
            fields.append(Field("frames less one", BYTE, last - first - 1))
            fields.append(Field("coder", RAW, coder.value if coder else b""))
            stream.parts.insert(at, Part(2, fields))

    def _duplicate(self, stream: Stream, rng: Random) -> None:
        """A record once more, here or there."""
        part = Stream(0, [rng.choice(stream.parts)]).copy().parts[0]
        stream.parts.insert(rng.randrange(len(stream.parts) + 1), part)

    def _delete(self, stream: Stream, rng: Random) -> None:
        """A record less."""
        if len(stream.parts) > 1:
            del stream.parts[rng.randrange(len(stream.parts))]

    def _swap(self, stream: Stream, rng: Random) -> None:
        """Two records in each other's place."""
        i, j = (rng.randrange(len(stream.parts)) for _ in range(2))
        stream.parts[i], stream.parts[j] = stream.parts[j], stream.parts[i]

    def _splice(self, stream: Stream, rng: Random) -> None:
        """Records of another stream in place of some, or between them."""
        other = [part for part in rng.choice(self._streams).copy().parts if part.kind != WHOLE]
        if other:
            begin = rng.randrange(len(other))
            at = rng.randrange(len(stream.parts) + 1)
            stop = at + rng.choice((0, 1, 3))
            stream.parts[at:stop] = other[begin : begin + rng.choice((1, 2, 5))]
        if not stream.parts:
            stream.parts = [Part(0, [])]

    def _kind(self, stream: Stream, rng: Random) -> None:
        """A record under another type."""
        rng.choice(stream.parts).kind = rng.randrange(8)

    def _length(self, stream: Stream, rng: Random) -> None:
        """A tag that lies about the length."""
        rng.choice(stream.parts).length_off = rng.choice((-3, -1, 1, 2, 100, 1 << 26, 1 << 40))

    def _repeat(self, stream: Stream, rng: Random) -> None:
        """More GOPs than eight: an index."""
        gops = stream.gops()
        if gops:
            again = Stream(0, rng.choice(gops))
            at = next(i for i, part in enumerate(stream.parts) if part is gops[-1][-1]) + 1
            more = [part for _ in range(rng.choice((1, 8, 12))) for part in again.copy().parts]
            stream.parts[at:at] = more

    def _references(self, stream: Stream, rng: Random) -> None:
        """A GOP refers to the one before, or does no longer."""
        contents = stream.of(1)
        if contents:
            part = rng.choice(contents)
            part.put("quality", part.number("quality") ^ 0x80)

    def _colour(self, stream: Stream, rng: Random) -> None:
        """Another matrix or range; version and pixel format agree, mostly."""
        self._recolour(stream, rng.random() < 0.5)
        if rng.random() < 0.6:
            byte = rng.choice(MATRICES) | rng.choice((0, 0x80))
            stream.parts[0].put("colour", byte)

    @staticmethod
    def _recolour(stream: Stream, rgb: bool) -> None:
        version = RGB_VERSION if rgb else 2
        stream.form = stream.form & 0xF0 | version
        stream.parts[0].put("colour", 0x80 if rgb else 1)
        stream.parts[0].put("pixel format", 1 if rgb else 0)

    def _sound(self, stream: Stream, rng: Random) -> None:
        """A sound track that is announced or no longer, or is another one."""
        header = stream.parts[0]
        codec = header.get("codec")
        if codec is None:
            header.put("flags", header.number("flags") | 2)
            name = rng.choice(CODECS)
            header.fields += [
                Field("name length", BYTE, len(name)), Field("codec", RAW, name),
                Field("sample rate", "varint", rng.choice((1, 8000, 44100, 1 << 20))),
                Field("channels", BYTE, rng.choice((1, 2, 8, 255))),
                Field("setup length", "varint", 4), Field("setup", RAW, rng.randbytes(4)),
            ]  # fmt: skip
            packet = [Field("start", SIGNED, rng.choice((0, -312, 1 << 52)))]
            packet += [Field("packet size", "varint", 7), Field("packet duration", "varint", 960)]
            stream.parts.append(Part(4, [*packet, Field("packet", RAW, b"\xfc\xff\xfe")]))
            return
        name = rng.choice(CODECS)
        codec.value = name
        header.put("name length", len(name))
        header.put("sample rate", rng.choice((1, 8000, 44100, 1 << 20)))
        header.put("channels", rng.choice((1, 2, 6, 255)))

    def _times(self, stream: Stream, rng: Random) -> None:
        """A times record before a content record."""
        contents = [i for i, part in enumerate(stream.parts) if part.kind == 1]
        if not contents:
            return
        at = rng.choice(contents)
        count = stream.parts[at].number("frames less one") % 128 + rng.choice((1, 1, 1, 2))
        fields = [Field("start", "varint", rng.choice((0, 3600, 90000, 1 << 52)))]
        changes = [rng.choice((0, 0, 1, -1, 1 << 39, 1 << 41)) for _ in range(count)]
        fields += [Field("change of duration", SIGNED, change) for change in changes]
        stream.parts.insert(at, Part(5, fields))

    def _drop_field(self, stream: Stream, rng: Random) -> None:
        """A field less, or two in each other's place."""
        part = rng.choice(stream.parts)
        if part.fields and rng.random() < 0.5:
            del part.fields[rng.randrange(len(part.fields))]
        else:
            rng.shuffle(part.fields)


def raw_mutant(data: bytes, rng: Random) -> bytes:
    """The same bytes but for some: flipped bits, others, fewer, more, in another order."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.randrange(len(out) + 1)
        span = min(rng.choice((1, 1, 2, 4, 4, 16, 100)), len(out) - at)
        what = rng.randrange(7)
        if what <= 1 and span:
            out[at] ^= 1 << rng.randrange(8)
        elif what == 2:
            out[at : at + span] = rng.randbytes(span)
        elif what == 3:
            del out[at : at + span]
        elif what == 4:
            out[at:at] = rng.randbytes(rng.choice((1, 2, 4, 30)))
        elif what == 5:
            out[at:at] = out[at : at + span]
        else:
            to = rng.randrange(len(out) + 1)
            piece = out[at : at + span]
            del out[at : at + span]
            out[to:to] = piece
    return bytes(out)
