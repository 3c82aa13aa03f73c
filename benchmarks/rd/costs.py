"""Speed, memory and size of every codec of a run, measured one after another."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache

from benchmarks.rd import complexity
from benchmarks.rd.cache import Cache, code_digest
from benchmarks.rd.clip import Clip, rgb_clip
from benchmarks.rd.codec import CannotCode, Codec
from benchmarks.rd.complexity import Complexity, measure_complexity
from benchmarks.rd.names import ABLATION
from benchmarks.rd.sources import SEED, layers_clip
from dsaecodec.draw import random_characters
from dsaecodec.errors import CodecError


def measure_costs(
    codecs: Sequence[Codec], threads: int, cache: Cache, progress: Callable[[str], None]
) -> list[Complexity]:
    """A row a codec, at the middle of its qualities.

    All are measured on the same drawn clip of 640×360, codecs of small pictures only on a drawn
    character of 64×64. A codec that is not at hand has no row: points say why.
    """
    found = []
    for codec in codecs:
        if codec.name == ABLATION:  # costs what the codec itself costs
            continue
        clip = _clip_for(codec)
        if clip is not None:
            row = _measure(codec, clip, threads, cache)
            found += [row] if row else []
        progress(codec.label)
    return found


def _measure(codec: Codec, clip: Clip, threads: int, cache: Cache) -> Complexity | None:
    quality = codec.qualities[len(codec.qualities) // 2]
    try:
        settings = codec.settings(clip, quality)
    except (CannotCode, CodecError):
        return None
    key = (
        "complexity",
        clip.fingerprint,
        settings,
        code_digest(codec, complexity.__name__),
        str(threads),
    )
    known = cache.find_text(key)
    if known is not None:
        return Complexity(**json.loads(known))
    row = measure_complexity(codec, clip, quality, threads)
    cache.keep_text(key, json.dumps(asdict(row)))
    return row


def _clip_for(codec: Codec) -> Clip | None:
    return next((clip for clip in _clips() if not codec.unsuitable(clip)), None)


@cache
def _clips() -> tuple[Clip, ...]:
    drawn = next(random_characters(1, 16, SEED, held_out=True))
    small = rgb_clip("characters-00", "characters", drawn.frames, 12, drawn.labels)
    return layers_clip(17, 360, 640), small
