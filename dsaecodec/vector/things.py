"""Pictures of things that move: f says what they look like, z_t where they are.

`Things` is the part of p(x_t | z_t, f), `Places` of q(z_t | x_t).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dsaecodec.vector.synthesis import BLOCK, features, to_blocks

COLOURS = 32  # learned filters of the colour of a pixel
_REDUCED = 4  # times smaller: pictures as filters see them
_NOTHING = 1e-4  # weight of a pixel that no filter sees


class Things(nn.Module):
    """Pictures that are sums of learned pictures at places that z says.

    Of colour c, line y and column x

        x_cyx = w_cyx + Σ_r Σ_kl s_rckl(f) · β(y - p_r + k) · β(x - q_r + l),

    β being the cubic B-spline (Unser, Splines, 1999), s a network of three layers, and p_r and q_r
    numbers of z_t, in pixels from the middle: what Attend, Infer, Repeat (Eslami et al. 2016) does
    with a sampler. Pictures depend on places smoothly, and on whole pixels no more than on others.

    Args:
        size: of pictures, pixels.
        f_channels, z_channels: of f and z_t; a thing for each two numbers of z_t.
        f_width: features of f that looks are linear in.
    """

    def __init__(self, size: int, f_channels: int, z_channels: int, f_width: int) -> None:
        super().__init__()
        self.count, self.side = z_channels // 2, max(BLOCK, 3 * size // BLOCK)
        self.of_f = features(f_channels, f_width, self.count * 3 * self.side**2)
        last = self.of_f[-1]
        assert isinstance(last, nn.Linear)
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
        self.bias = nn.Parameter(torch.zeros((size // BLOCK) ** 2, 3 * BLOCK**2))
        self.size = size

    def forward(self, f: Tensor, z: Tensor) -> Tensor:
        """f [N, F], z [N, T, Z] → blocks [blocks, N, T, 192], code values / 64."""
        side, size = self.side, self.size
        reach = torch.arange(size + side - 1, device=z.device) - (size + side - 2) / 2
        places = z.unflatten(-1, (2, self.count))[..., None]
        weights = _spline(reach - places).unfold(-1, size, 1)  # [N, T, 2, things, side, size]
        columns, rows = weights.unbind(2)
        looks = self.of_f(f).unflatten(-1, (self.count, side * 3, side))
        drawn = torch.matmul(looks, rows.permute(0, 2, 3, 1, 4).flatten(3))
        drawn = drawn.unflatten(3, (-1, size)).unflatten(2, (side, 3))
        drawn = drawn.permute(0, 4, 1, 2, 3, 5).flatten(4).flatten(2, 3)
        columns = columns.flatten(2, 3).transpose(2, 3)
        pictures = torch.matmul(columns, drawn).unflatten(-1, (3, size)).transpose(2, 3)
        return to_blocks(pictures) + self.bias[:, None, None]


class Places(nn.Module):
    """Where things are, and how much of each colour there is.

    The place of a thing is the mean of the places of all pixels, weighted by learned filters of
    their colour (Finn et al., Deep Spatial Autoencoders, 2016).

    Args:
        count: things.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.colours = nn.Linear(3, COLOURS)
        self.things = nn.Linear(COLOURS, count)
        for layer in (self.colours, self.things):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Places and colours of pictures.

        Args:
            pictures: [M, 3, H, W].

        Returns:
            Lines, then columns, of things [M, 2 · count], pixels from the middle; mean of the
            filters and of their squares [M, 2 · COLOURS].
        """
        with torch.autocast(pictures.device.type, enabled=False):  # half precision is 1/4 pixel
            return self._find(pictures.float())

    def _find(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        small = F.avg_pool2d(pictures, _REDUCED)
        seen = F.relu(self.colours(small.permute(0, 2, 3, 1)))  # [M, H, W, COLOURS]
        weight = F.relu(self.things(seen)) + _NOTHING
        weight = weight / weight.sum((1, 2), keepdim=True)
        places = []
        for axis in (1, 2):
            length = weight.shape[axis]
            line = _REDUCED * (torch.arange(length, device=weight.device) - (length - 1) / 2)
            places.append((weight.sum(3 - axis) * line[:, None]).sum(1))
        tint = [10 * seen.mean((1, 2)), 5 * seen.square().mean((1, 2))]
        return torch.cat(places, 1), torch.cat(tint, 1)


def _spline(distance: Tensor) -> Tensor:
    """The cubic B-spline, elementwise."""
    d = distance.abs()
    return (F.relu(2 - d) ** 3 - 4 * F.relu(1 - d) ** 3) / 6
