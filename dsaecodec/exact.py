"""Exact integer networks: the arithmetic behind every entropy-coding decision.

Tensors hold integers in a floating-point dtype. A matrix product of integers is exact in float32
while every partial sum stays below 2**24 (below 2**53 in float64), whatever the order of summation,
so results agree on every machine, thread count, batch size and library version. The bound

    sum_k |w_k| * a_max + |b| + 2**(shift - 1) < 2**24                     per output channel

is kept while training (`project_`) and checked when weights are loaded (`check_bound`).

Only `unfold` and matrix products are used: fast convolution algorithms are not exact on integers.
Training runs this very network; gradients pass through rounding unchanged (straight-through).
Weights live in units of 2**-shift, so that integers stored in a file are recovered exactly.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACC_LIMIT = 2**24
ACTIVATION_MAX = 255  # ReLU activations are 0…255, signed ones -127…127
SIGNED_MAX = 127
GATE_ONE = 64  # fixed-point one of the gates


class _Round(torch.autograd.Function):
    """floor(x + 1/2), gradient of the identity."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.floor(x + 0.5)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


class _Clamp(torch.autograd.Function):
    """clamp(x, low, high); outside, only a gradient that points back inside passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.low, ctx.high = low, high
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        blocked = ((x < ctx.low) & (grad > 0)) | ((x > ctx.high) & (grad < 0))
        return grad.masked_fill(blocked, 0.0), None, None


def round_ste(x: Tensor) -> Tensor:
    """Round half up, with a straight-through gradient."""
    return _Round.apply(x)


def clamp_ste(x: Tensor, low: float, high: float) -> Tensor:
    """Clamp whose gradient can lead a value back inside."""
    return _Clamp.apply(x, float(low), float(high))


def shift_round(x: Tensor, shift: int) -> Tensor:
    """floor(x / 2**shift + 1/2) on integers; exact, since the scaling is by a power of two."""
    return round_ste(x * 2.0**-shift)


@lru_cache(maxsize=8)
def _compand_table(device: torch.device) -> Tensor:
    """sign(s) · floor(18 · log2~(1 + |s|)) for s = -127…127, log2~ linear between powers of two."""
    positive = []
    for magnitude in range(1, SIGNED_MAX + 1):
        octave = (magnitude + 1).bit_length() - 1
        power = 1 << octave
        positive.append(18 * (octave * power + magnitude + 1 - power) // power)
    values = [-v for v in reversed(positive)] + [0] + positive
    return torch.tensor(values, dtype=torch.float32, device=device)


def compand(symbols: Tensor) -> Tensor:
    """Compress integers, clamped to ±127, to -126…126 on a logarithmic scale (a lookup table).

    The result is float32, as all that networks see.
    """
    index = symbols.clamp(-SIGNED_MAX, SIGNED_MAX).long() + SIGNED_MAX
    return _compand_table(symbols.device)[index]


class Lattice(NamedTuple):
    """Every second row and column of a grid.

    Attributes:
        top, left: of its first position, 0 or 1.
        positions: flat indices into the grid, in raster order [P].
    """

    top: int
    left: int
    positions: Tensor


def patches(x: Tensor, lattice: Lattice | None = None) -> Tensor:
    """3×3 neighbourhoods of all or some positions, zero padding: [N, C, H, W] → [N, 9·C, P]."""
    if lattice is None:
        return F.unfold(x, 3, padding=1)
    return F.unfold(F.pad(x, (1, 1, 1, 1))[:, :, lattice.top :, lattice.left :], 3, stride=2)


class IntConv(nn.Module):
    """Integer convolution of kernel 1 or 3: y = act(floor((w·x + b) / 2**shift + 1/2)).

    Args:
        in_channels, out_channels: channel counts.
        kernel: 1 or 3 (zero padding).
        act: "relu" (0…255), "signed" (-127…127), "gate" (0…64) or "none".
        a_max: largest absolute value of an input; inputs MUST respect it.
        shift: fractional bits of the weights.
        gain: scale of the random initial weights.
    """

    RANGES = {
        "relu": (0, ACTIVATION_MAX),
        "signed": (-SIGNED_MAX, SIGNED_MAX),
        "gate": (0, GATE_ONE),
        "none": None,
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        *,
        act: str = "relu",
        a_max: int = ACTIVATION_MAX,
        shift: int = 10,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        fan_in = in_channels * kernel * kernel
        self.kernel, self.a_max, self.shift = kernel, a_max, shift
        self.limits = self.RANGES[act]
        self.weight = nn.Parameter(torch.randn(out_channels, fan_in) * gain * math.sqrt(2 / fan_in))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self._frozen: tuple[Tensor, Tensor] | None = None

    def integers(self) -> tuple[Tensor, Tensor]:
        """Integer weights [out, fan_in] and biases [out] (straight-through when training)."""
        scale = 2.0**self.shift
        return round_ste(self.weight * scale), round_ste(self.bias * scale)

    @torch.no_grad()
    def freeze(self) -> None:
        """Round once, for use without further training.

        The division by 2**shift and the half that rounding adds go into weights and biases: all
        sums are multiples of 2**-shift then, and as exact.
        """
        weight, bias = self.integers()
        self._frozen = weight * 2.0**-self.shift, (bias * 2.0**-self.shift + 0.5)[:, None]

    def forward(self, x: Tensor) -> Tensor:
        """Apply to integers [N, in, H, W] → [N, out, H, W]."""
        columns = patches(x) if self.kernel == 3 else x.flatten(2)  # [N, fan_in, H·W]
        return self.matmul(columns).unflatten(2, x.shape[2:])

    def matmul(self, columns: Tensor) -> Tensor:
        """The layer on gathered columns: [N, fan_in, P] → [N, out, P]."""
        if self._frozen is not None:
            return self._matmul_frozen(columns, *self._frozen)
        weight, bias = self.integers()
        columns = columns.to(weight.dtype)
        with torch.autocast(columns.device.type, enabled=False):
            if columns.shape[2] == 1:  # as in `_matmul_frozen`
                acc = torch.matmul(columns[:, :, 0], weight.T)[:, :, None]
            else:
                acc = torch.matmul(weight, columns)
            y = shift_round(acc + bias[:, None], self.shift)
        return y if self.limits is None else clamp_ste(y, *self.limits)

    def _matmul_frozen(self, columns: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """`matmul` in fewer passes over memory."""
        columns = columns.to(weight.dtype)
        with torch.autocast(columns.device.type, enabled=False):
            if columns.shape[0] == 1:
                y = torch.addmm(bias, weight, columns[0])[None]
            elif columns.shape[2] == 1:  # one product of matrices, not N of a matrix and a vector
                y = torch.addmm(bias[:, 0], columns[:, :, 0], weight.T)[:, :, None]
            else:
                y = torch.matmul(weight, columns).add_(bias)
        y.floor_()
        return y if self.limits is None else y.clamp_(*self.limits)

    def row_bound(self) -> Tensor:
        """Largest possible |accumulator| of each output channel, [out], float64."""
        weight, bias = (t.detach().double() for t in self.integers())
        return weight.abs().sum(1) * self.a_max + bias.abs() + 2 ** (self.shift - 1)

    @torch.no_grad()
    def project_(self) -> None:
        """Scale rows that would break the exactness bound back inside it."""
        factor = (0.98 * ACC_LIMIT / self.row_bound()).clamp(max=1.0).to(self.weight.dtype)
        self.weight.mul_(factor[:, None])
        self.bias.mul_(factor)


def exact_layers(module: nn.Module) -> list[tuple[str, IntConv]]:
    """All integer layers below `module`, with their names."""
    return [(name, m) for name, m in module.named_modules() if isinstance(m, IntConv)]


def check_bound(module: nn.Module) -> None:
    """Check that no accumulator of the exact part can reach 2**24.

    Raises:
        ValueError: naming the layer and channel that break the bound.
    """
    for name, layer in exact_layers(module):
        bound = layer.row_bound()
        if not bool((bound < ACC_LIMIT).all()):  # also catches NaN
            channel = int(torch.nan_to_num(bound, nan=math.inf).argmax())
            raise ValueError(f"{name}: channel {channel} may reach {bound[channel]:.0f} ≥ 2**24")
