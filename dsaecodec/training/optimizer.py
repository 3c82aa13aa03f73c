"""Learning rates: which parameters move how fast, and when."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from torch import Tensor, nn

from dsaecodec.exact import IntConv

WARM_UP = 100  # steps
DECAY = 0.4  # the last part of a stage, over which the rate falls
LOWEST = 0.02  # of the rate, where it ends


def parameter_groups(
    model: nn.Module, rate: float, only: Collection[Tensor] | None = None
) -> list[dict[str, Any]]:
    """Exact layers and transforms move less than free float networks.

    Args:
        model: whose parameters.
        rate: of the float networks.
        only: leave out all parameters but these.
    """
    exact = {id(p) for m in model.modules() if isinstance(m, IntConv) for p in m.parameters()}
    wanted = None if only is None else {id(p) for p in only}
    groups: dict[float, list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if wanted is not None and id(parameter) not in wanted:
            continue
        ratio = 1.0
        if "transform" in name:
            ratio = 0.06
        elif id(parameter) in exact:
            ratio = 0.4 if parameter.ndim > 1 else 20.0
        elif name.split("_")[-1] in ("mean", "index"):
            ratio = 20.0
        elif name.endswith("_step"):
            ratio = 2.0
        groups.setdefault(ratio, []).append(parameter)
    return [{"params": p, "lr": rate * r, "ratio": r} for r, p in groups.items()]


def schedule(step: int, steps: int, decay: float = DECAY) -> float:
    """Factor of the learning rate in a stage: a short warm-up, constant, cosine at the end.

    Args:
        step: of the stage.
        steps: of the whole stage.
        decay: the part of the stage over which the rate falls.
    """
    warm = min(1.0, (step + 1) / min(WARM_UP, max(1, steps // 4)))
    progress = (step - (1 - decay) * steps) / (decay * steps)
    if progress < 0:
        return warm
    return warm * (LOWEST + (1 - LOWEST) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))
