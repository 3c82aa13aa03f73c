"""One GOP of the vector family: frames to latents to coder bytes."""

from __future__ import annotations

import torch
from torch import Tensor

from bitstream import Gop, Segment, SymbolEncoder
from dsaecodec.codec.gop_plan import GopPlan
from dsaecodec.codec.symbols import SYMBOL_LIMIT
from dsaecodec.errors import InputVideoError
from dsaecodec.model_io import LoadedModel
from dsaecodec.vector.gop_coder import code_content, code_dynamics
from dsaecodec.vector.pictures import blocks_of
from dsaecodec.video.frame import RGB, VideoInfo


class VectorGopEncoder:
    """See `codec.family.GopEncoder`.

    Args:
        loaded: the model.
        info: of the video.
        quality: 0…100.

    Raises:
        InputVideoError: the pictures are not RGB of the model's size.
    """

    def __init__(self, loaded: LoadedModel, info: VideoInfo, quality: int) -> None:
        self._loaded, self._model, self._quality = loaded, loaded.vector, quality
        self.cost_before = self.cost_after = 0.0
        size = self._model.config.size
        if (info.width, info.height) != (size, size) or info.matrix != RGB:
            found = f"{info.width}x{info.height}" + ("" if info.matrix == RGB else ", not RGB")
            raise InputVideoError(
                f"this model is for pictures of {size}x{size} in RGB, these are {found}",
                hint="--model natural takes any video",
            )

    def encode(self, plan: GopPlan) -> list[Gop]:
        """See `GopEncoder`."""
        f, z = self.infer(plan)
        content, dynamics = (SymbolEncoder(self._loaded.tables) for _ in range(2))
        code_content(self._model, content, self._quality, f)
        code_dynamics(self._model, dynamics, self._quality, list(z))
        segment = Segment(0, len(z), dynamics.finish())
        return [Gop(self._quality, False, len(z), content.finish(), (segment,))]

    def infer(self, plan: GopPlan) -> tuple[Tensor, Tensor]:
        """Symbols of a GOP: f [F], z [T, Z]."""
        blocks = blocks_of(plan.frames).to(self._loaded.device)
        step = float(self._model.step(torch.tensor([self._quality])))
        f, z = (x[0].cpu() / step for x in self._model.posterior(blocks))
        return _rounded(f), _rounded(z)


def _rounded(x: Tensor) -> Tensor:
    return torch.floor(x + 0.5).clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT)
