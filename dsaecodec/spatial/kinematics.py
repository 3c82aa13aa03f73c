"""What a frame's place between two contents says about its motion.

Frame t of T lies t + 1 frames behind the content before its GOP and T - 1 - t before its own. What
moves by v pixels a frame is then at -v·(t + 1) in the one plane and at v·(T - 1 - t) in the other:
half the difference of the two is h = -v·T/2 in every frame, and their mean is h·(2(t + 1) - T)/T.
So the mean is coded as what it is more than that. It is a lifting step (Sweldens 1996): integers to
integers, and back exactly.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dsaecodec.exact import SIGNED_MAX, compand

RATIO_ONE = 64  # fixed-point one of the ratio of two steps
LARGEST_RATIO = 4 * RATIO_ONE
SYMBOL_BOUND = 2**20  # halves are clamped here: products stay far inside int64
MEAN, HALF = slice(0, 2), slice(2, 4)  # channels of z_t


class Place(NamedTuple):
    """Where frames are.

    Attributes:
        frames: index of each in its GOP, int64 [N].
        num_frames: of the GOP, T.
        refs_previous: whether they also use the content before.
        motion: f_motion of contents that are predicted, [clips, 2, h, w]: where the prior begins.
    """

    frames: Tensor
    num_frames: int
    refs_previous: bool
    motion: Tensor | None = None

    @staticmethod
    def of(
        first: int,
        count: int,
        num_frames: int,
        refs_previous: bool,
        motion: Tensor | None = None,
    ) -> Place:
        """Consecutive frames; `motion` may be empty, too."""
        motion = motion if motion is not None and motion.shape[1] else None
        return Place(torch.arange(first, first + count), num_frames, refs_previous, motion)

    @staticmethod
    def whole(num_frames: int, refs_previous: bool, motion: Tensor | None = None) -> Place:
        """All frames of a GOP."""
        return Place.of(0, num_frames, num_frames, refs_previous, motion)

    def frame(self, t: int) -> Place:
        """One of them."""
        return self._replace(frames=self.frames[t : t + 1])

    def repeated(self, times: int) -> Place:
        """The same frames of several clips, clip after clip."""
        return self._replace(frames=self.frames.repeat(times))

    def distances(self) -> Tensor:
        """Frames to the content before and to the GOP's own, companded, float32 [N, 2].

        A lone content is expected in the middle: only its bits depend on that.
        """
        behind, before = self.frames + 1, self.num_frames - 1 - self.frames
        if not self.refs_previous:
            behind, before = 0 * behind, (self.frames - self.num_frames // 2).abs()
        return compand(torch.stack([behind, before], 1).clamp(max=SIGNED_MAX))

    def slopes(self) -> Tensor:
        """Numerators 2(t + 1) - T of the mean's share in h, int64 [N]; 0 with one content."""
        slopes = 2 * (self.frames + 1) - self.num_frames
        return slopes if self.refs_previous else torch.zeros_like(slopes)

    def expected_mean(self, half: Tensor, ratio: Tensor) -> Tensor:
        """Mean of motion at constant velocity, ⌊h·r·(2(t + 1) - T) / (64·T) + 1/2⌋.

        Args:
            half: symbols of h, [N, 2, …].
            ratio: step of h over step of the mean for both directions, in 1/64, [2].

        Returns:
            Symbols, float64, of the same shape.
        """
        shape = (-1, *(1 for _ in half.shape[1:]))
        factor = ratio.long().view(1, 2, *(1 for _ in half.shape[2:])).to(half.device)
        product = half.clamp(-SYMBOL_BOUND, SYMBOL_BOUND).long() * factor
        product = product * self.slopes().to(half.device).view(shape)
        below = RATIO_ONE * self.num_frames
        return torch.div(2 * product + below, 2 * below, rounding_mode="floor").double()

    def lifted(self, z: Tensor, ratio: Tensor) -> Tensor:
        """Symbols z_t [N, C, …] as they are coded."""
        mean = z[:, MEAN] - self.expected_mean(z[:, HALF], ratio)
        return torch.cat([mean.to(z.dtype), z[:, MEAN.stop :]], 1)

    def unlifted(self, z: Tensor, ratio: Tensor) -> Tensor:
        """Inverse of `lifted`."""
        mean = z[:, MEAN] + self.expected_mean(z[:, HALF], ratio)
        return torch.cat([mean.to(z.dtype), z[:, MEAN.stop :]], 1)


AT_CONTENT = Place.whole(1, True)
"""Of a frame that lies at its content: half the motion from there to the content before."""
