"""Which codecs there are, and what a run compares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from benchmarks.rd.codec import Codec
from benchmarks.rd.codecs.classic import classic_codecs
from benchmarks.rd.codecs.latent import latent_codecs
from benchmarks.rd.codecs.lossless import lossless_codecs
from benchmarks.rd.codecs.ours import our_codecs
from benchmarks.rd.codecs.pca import pca_codecs
from benchmarks.rd.codecs.peer import peer_codecs
from benchmarks.rd.names import ANCHOR, OURS
from dsaecodec.errors import UsageError

_ONLY_BY_NAME = {"dsaecodec-slow"}  # takes as long as all others together
_ONLY_IN_FULL = {"dsaecodec-fast", "x264-veryfast", "mpeg2"}
_SMALL_PICTURES = ("webp", "pca", "lstm")
_SLOW_ON_FOOTAGE = {"x265-veryslow", "av1-p2"}  # a picture or two a second, beyond a quick run


def all_codecs(model: str | None, peers: Sequence[str]) -> list[Codec]:
    """Every codec, in the order of tables.

    Args:
        model: name or path of our weights, None for the default.
        peers: NAME=PATH of CompressAI's models.
    """
    ours, classics = our_codecs(model), classic_codecs()
    small = [*lossless_codecs(), *pca_codecs(), *latent_codecs()]
    return [*ours, *classics, *small, *peer_codecs(peers)]


def choose(
    codecs: Sequence[Codec], names: Iterable[str] | None, *, full: bool, footage: bool
) -> list[Codec]:
    """The codecs that are named, or those of a quick or a full run, of footage or small pictures.

    The anchor of the tables is always among them.

    Raises:
        UsageError: a name is unknown.
    """
    if names is None:
        quick = _ONLY_IN_FULL | (_SLOW_ON_FOOTAGE if footage else set())
        left_out = _ONLY_BY_NAME | (set() if full else quick)
        if footage:
            codecs = [codec for codec in codecs if not codec.name.startswith(_SMALL_PICTURES)]
        return [codec for codec in codecs if codec.name not in left_out]
    known = {codec.name: codec for codec in codecs}
    wanted = dict.fromkeys(names)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        hint = "known are " + ", ".join(known)
        raise UsageError(f"unknown codec {', '.join(unknown)}", hint=hint)
    return [codec for codec in codecs if codec.name in wanted or codec.name == ANCHOR]


def choose_qualities(
    codecs: Sequence[Codec], requests: Iterable[str], full: bool
) -> dict[str, tuple[float, ...]]:
    """Qualities by codec's name.

    Args:
        codecs: those that run.
        requests: "15,30,45" for all of ours, "x265-medium=22,28,34" for another.
        full: take each codec's own full grid where none is requested.

    Raises:
        UsageError: a request names no codec of the run, or holds no numbers.
    """
    found = {codec.name: codec.all_qualities if full else codec.qualities for codec in codecs}
    for request in requests:
        name, _, values = request.rpartition("=")
        mine = [c for c in found if (c == name if name else c.startswith(OURS))]
        if not mine:
            raise UsageError(f"--qualities {request}: no codec {name or OURS} in this run")
        try:
            grid = tuple(sorted({float(value) for value in values.split(",")}))
        except ValueError:
            grid = (math.nan,)
        if not all(map(math.isfinite, grid)):
            raise UsageError(f"--qualities {request}: expected numbers and commas")
        found |= dict.fromkeys(mine, grid)
    return found
