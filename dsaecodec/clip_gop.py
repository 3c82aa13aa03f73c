"""One GOP of an open clip: its latents as arrays, and the same GOP with others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import bitstream
from dsaecodec.errors import BitstreamError

if TYPE_CHECKING:
    from dsaecodec.latents import Content, ContentBits, Dynamics, LatentCodec

Symbols = NDArray[np.int32]


@dataclass(frozen=True, repr=False)
class ClipGop:
    """Frames that share one content latent, read from a stream or made by `replace`.

    The latents are decoded when first asked for. Their arrays are read-only: copy one, change it
    and give it to `replace`. h × w is the latent grid, ⌈height/16⌉ × ⌈width/16⌉; docs/spatial.md
    says what each channel is. In streams of the vector family f is [F], f_hyper [0], z [T, Z],
    steps are [1], see docs/vector.md. Two GOPs are equal if their bytes are.

    Attributes:
        header: of the stream it was read from.
        coded: its records: coder bytes, segments, times and sound.
        first_frame: of the clip, counted from 0, where it was read.
    """

    header: bitstream.Header
    coded: bitstream.Gop
    first_frame: int = field(compare=False)
    _place: str = field(compare=False)
    _codec: Callable[[], LatentCodec] = field(compare=False)

    def __repr__(self) -> str:
        last = self.first_frame + self.num_frames - 1
        return f"<{self._place}, frames {self.first_frame} to {last}, quality {self.quality}>"

    @property
    def quality(self) -> int:
        """The quality index, 0…100; it sets the steps between symbols."""
        return self.coded.quality

    @property
    def num_frames(self) -> int:
        """Frames, T."""
        return self.coded.num_frames

    @property
    def refs_previous(self) -> bool:
        """Whether the frames also use the content of the GOP before."""
        return self.coded.refs_previous

    @property
    def predicted(self) -> bool:
        """Whether the content is what that of the GOP before lacks: see `f_motion_symbols`."""
        return self._content.predicted

    @property
    def f_symbols(self) -> Symbols:
        """Content, int32 [384, h, w].

        Raises:
            BitstreamError: no encoder makes the GOP's coder bytes.
            ModelError: the weights are missing or not the stream's.
        """
        return self._content.f

    @property
    def f_hyper_symbols(self) -> Symbols:
        """Side information of the content, int32 [16, ⌈h/2⌉, ⌈w/2⌉]."""
        return self._content.f_hyper

    @property
    def f_motion_symbols(self) -> Symbols:
        """Half the motion to the content before, int32 [2, h, w] in steps of z's channels 2 and 3.

        Models that are precise have it in quarters of these. That content, moved, is what f is
        added to. [0, h, w] where the content stands alone.
        """
        return self._content.f_motion

    @property
    def z_symbols(self) -> Symbols:
        """Dynamics, int32 [T, 101, h, w]; the segments of the GOP one after the other."""
        return self._dynamics.z

    @property
    def f_bits(self) -> NDArray[np.float64]:
        """What each symbol of f costs: -log2 p under its stored table, and its escape's bits."""
        return self._content_bits.f

    @property
    def f_hyper_bits(self) -> NDArray[np.float64]:
        """What each symbol of f_hyper costs, see `f_bits`."""
        return self._content_bits.f_hyper

    @property
    def f_motion_bits(self) -> NDArray[np.float64]:
        """What each symbol of f_motion costs, see `f_bits`."""
        return self._content_bits.f_motion

    @property
    def z_bits(self) -> NDArray[np.float64]:
        """What each symbol of z costs given the frames before, see `f_bits`."""
        return self._dynamics.z_bits

    @property
    def f_hat(self) -> NDArray[np.float32]:
        """Content in grey levels, symbols times their steps: float32 [384, h, w]."""
        with self._named():
            return self._codec().f_hat(self.coded)

    @property
    def z_hat(self) -> NDArray[np.float32]:
        """Dynamics in pixels, logits and grey levels: float32 [T, 101, h, w]."""
        with self._named():
            return self._codec().z_hat(self.coded)

    @property
    def f_steps(self) -> NDArray[np.float32]:
        """Grey levels from one symbol of f to the next, float32 [384, 1, 1]."""
        return self._codec().f_steps(self.quality)

    @property
    def z_steps(self) -> NDArray[np.float32]:
        """From one symbol of z to the next, in the units of `z_hat`: float32 [101, 1, 1]."""
        return self._codec().z_steps(self.quality)

    def frame(self, t: int, before: ClipGop | Sequence[ClipGop] = ()) -> NDArray[np.uint8]:
        """Frame t of the GOP as RGB, uint8 [H, W, 3], the caller's own.

        Args:
            t: 0…T - 1.
            before: where this one `refs_previous`, the GOP before; as that one may need others,
                those back to one that does not, the nearest last.

        Raises:
            IndexError: there is no such frame.
            ValueError: `refs_previous`, and no GOP before.
            BitstreamError, ModelError: see `f_symbols`; or too few GOPs before.
        """
        if not 0 <= t < self.num_frames:
            raise IndexError(f"frame {t}: the GOP has {self.num_frames}")
        earlier = [before] if isinstance(before, ClipGop) else list(before)
        if self.refs_previous and not earlier:
            raise ValueError(f"{self._place}: its frames need the GOP before, found none")
        with self._named():
            return self._codec().frame([gop.coded for gop in (*earlier, self)], t)

    def replace(
        self,
        *,
        f_symbols: Symbols | None = None,
        f_hyper_symbols: Symbols | None = None,
        z_symbols: Symbols | None = None,
    ) -> ClipGop:
        """The same GOP with other symbols, coded at once; all else is kept.

        Records whose symbols are not given keep their bytes: of the content, dynamics are coded
        with regard to f_motion alone. Changed content shows in the next GOP too where that one
        `refs_previous`, and on as far as contents are `predicted`.

        Args:
            f_symbols: integers of the shape of `f_symbols`; None keeps them.
            f_hyper_symbols: likewise. It only predicts f: leaving it costs bits, never a symbol.
            z_symbols: likewise.

        Raises:
            ValueError: another shape or type, magnitudes above 2^20, or more coder bytes than the
                format allows.
            BitstreamError: see `f_symbols`.
        """
        coded = self.coded
        with self._named():
            if f_symbols is not None or f_hyper_symbols is not None:
                content = self._codec().pack_content(coded, f_symbols, f_hyper_symbols)
                coded = replace(coded, content=content)
            if z_symbols is not None:
                coded = replace(coded, segments=self._codec().pack_dynamics(coded, z_symbols))
        return replace(self, coded=coded)

    @property
    def _content(self) -> Content:
        with self._named():
            return self._codec().content(self.coded)

    @property
    def _content_bits(self) -> ContentBits:
        with self._named():
            return self._codec().content_bits(self.coded)

    @property
    def _dynamics(self) -> Dynamics:
        with self._named():
            return self._codec().dynamics(self.coded)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Put file and GOP before messages about coder bytes, which know neither."""
        try:
            yield
        except BitstreamError as error:
            error.args = (f"{self._place}: {error}",)
            raise
