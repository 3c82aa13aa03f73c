"""Multiply-adds of a computation in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

_ELEMENTWISE = {
    torch.ops.aten.mul.Tensor,
    torch.ops.aten.mul_.Tensor,
    torch.ops.aten.mul.out,
    torch.ops.aten.addcmul.default,
    torch.ops.aten.addcmul_.default,
}


@dataclass(frozen=True)
class Macs:
    """Multiply-adds.

    Attributes:
        products: of convolutions and matrix products, backward passes included, as PyTorch's own
            counter has them; two of its operations are one multiply-add.
        elementwise: results of products of two floating tensors that have more than one element
            each: shifted multiply-adds, gains of quantization, masks and blends.
    """

    products: int
    elementwise: int

    @property
    def total(self) -> int:
        """Both."""
        return self.products + self.elementwise


def count_macs(call: Callable[[], object]) -> Macs:
    """Multiply-adds of everything that a call computes in this thread.

    Not counted: sums, products with a number, divisions and powers, non-linearities, interpolation
    and warping, entropy coding, and whatever is computed outside PyTorch.
    """
    elementwise = _ElementwiseProducts()
    with FlopCounterMode(display=False) as counter, elementwise:
        call()
    return Macs(int(counter.get_total_flops()) // 2, elementwise.count)


class _ElementwiseProducts(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in _ELEMENTWISE and result.is_floating_point():
            factors = args[-2:]  # of `addcmul` the first is a summand
            if all(isinstance(x, Tensor) and x.numel() > 1 for x in factors):
                self.count += result.numel()
        return result
