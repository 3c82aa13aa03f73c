"""What a codec is to the comparison."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

from benchmarks.rd.clip import Clip, Frames


class CannotCode(Exception):  # noqa: N818 - reads so where it is raised
    """A codec cannot code a clip or is not at hand; the message says why. The run goes on."""


@dataclass(frozen=True)
class Coded:
    """A coded clip.

    Attributes:
        packets: the bytes that count, and all that the decoder is given besides the clip's size,
            rate and colour. A classic codec's are its elementary stream, a packet a frame, without
            container and without the encoder's banner; ours are one whole file.
    """

    packets: tuple[bytes, ...]

    @property
    def num_bytes(self) -> int:
        """The rate."""
        return sum(map(len, self.packets))


@dataclass(frozen=True)
class ModelSize:
    """What a decoder must have beforehand.

    Attributes:
        numbers: parameters, or stored numbers of a linear model.
        num_bytes: as stored.
    """

    numbers: int
    num_bytes: int


class Codec(ABC):
    """A way to code a clip, at qualities of its own scale. Instances are cheap and can be pickled.

    Attributes:
        name: in CSV files and on the command line, e.g. "x265-veryslow".
        label: for people, e.g. "x265 veryslow".
        qualities: points of a curve, from the lowest rate to the highest.
        all_qualities: the same for a full run.
        threads: of the encoder and the decoder.
        step: the finest difference of quality that it knows.
    """

    name: str
    label: str
    qualities: tuple[float, ...]
    all_qualities: tuple[float, ...]
    threads: int = 1
    step: float = 1.0

    def with_threads(self, threads: int) -> Self:
        """The same codec with another number of threads."""
        other = copy.copy(self)
        object.__setattr__(other, "threads", threads)  # codecs may be frozen
        return other

    def unsuitable(self, clip: Clip) -> str | None:
        """Why it cannot code a clip, None where it can."""
        return None

    @abstractmethod
    def settings(self, clip: Clip, quality: float) -> str:
        """Command line or call, with versions of libraries and identity of weights.

        Whatever decides the bytes is in it: results are cached under this text.

        Raises:
            CannotCode: the library or the weights are not at hand.
        """

    @abstractmethod
    def encode(self, clip: Clip, quality: float) -> Coded:
        """Code all frames of a clip.

        Raises:
            CannotCode: it does not work for this clip.
        """

    @abstractmethod
    def decode(self, coded: Coded, clip: Clip) -> Frames:
        """Decode from `coded.packets` alone; of `clip`, kind and info may be used, frames may not.

        Returns:
            T frames of the clip's kind and size.
        """

    def size(self, clip: Clip) -> ModelSize | None:
        """What the decoder has beforehand; None for a codec without a model."""
        return None

    def account(self, coded: Coded, clip: Clip) -> dict[str, float]:
        """What the bits went to, by the names of columns of `Point`; nothing by default."""
        return {}
