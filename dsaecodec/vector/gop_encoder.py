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
from dsaecodec.vector.model import VectorModel
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
        self._loaded, self._model, self.quality = loaded, loaded.vector, quality
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
        blocks = blocks_of(plan.frames).to(self._loaded.device)
        f, z = infer_symbols(self._model, blocks, self.quality)
        content, dynamics = (SymbolEncoder(self._loaded.tables) for _ in range(2))
        code_content(self._model, content, self.quality, f)
        code_dynamics(self._model, dynamics, self.quality, z.unbind(1))
        num_frames = len(plan.frames)
        segment = Segment(0, num_frames, dynamics.finish())
        return [Gop(self.quality, False, num_frames, content.finish(), (segment,))]


def infer_symbols(model: VectorModel, blocks: Tensor, quality: int) -> tuple[Tensor, Tensor]:
    """Symbols of clips [blocks, N, T, 192]: f [N, F], z [N, T, coded channels], on the CPU."""
    step = float(model.step(torch.tensor([quality])))
    f, z = (_rounded(x.cpu() / step) for x in model.infer(blocks))
    return f, z


def _rounded(x: Tensor) -> Tensor:
    return torch.floor(x + 0.5).clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT)
