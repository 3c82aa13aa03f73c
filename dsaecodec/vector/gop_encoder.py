"""One GOP of the vector family: frames to latents to coder bytes."""

from __future__ import annotations

import torch
from torch import Tensor

from bitstream import Gop, SymbolEncoder
from dsaecodec.codec.gop_plan import GopPlan
from dsaecodec.codec.segments import SegmentEncoder, make_segments, segment_lengths
from dsaecodec.codec.symbols import SYMBOL_LIMIT
from dsaecodec.errors import ConfigError, InputVideoError
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
        restart: frames after which the prior of dynamics begins anew, None for never in a GOP.

    Raises:
        ConfigError: there is a restart, and the model knows none.
        InputVideoError: the pictures are not RGB of the model's size.
    """

    def __init__(
        self, loaded: LoadedModel, info: VideoInfo, quality: int, *, restart: int | None = None
    ) -> None:
        self._restart = restart
        self._loaded, self._model, self.quality = loaded, loaded.vector, quality
        self.cost_before = self.cost_after = 0.0
        if restart and self._model.config.dynamics == "deterministic":
            raise ConfigError("resilient: frames of this model follow from its content, in one run")
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
        content = SymbolEncoder(self._loaded.tables)
        dynamics = SegmentEncoder(self._loaded.tables)
        code_content(self._model, content, self.quality, f)
        num_frames = len(plan.frames)
        for part in z.split(segment_lengths(num_frames, self._restart), dim=1):
            dynamics.restart()
            code_dynamics(self._model, dynamics, self.quality, part.unbind(1))
        segments = tuple(make_segments(num_frames, self._restart, dynamics.finish()))
        return [Gop(self.quality, False, num_frames, content.finish(), segments)]


def infer_symbols(model: VectorModel, blocks: Tensor, quality: int) -> tuple[Tensor, Tensor]:
    """Symbols of clips [blocks, N, T, 192]: f [N, F], z [N, T, coded channels], on the CPU."""
    step = float(model.step(torch.tensor([quality])))
    f, z = (_rounded(x.cpu() / step) for x in model.infer(blocks))
    return f, z


def _rounded(x: Tensor) -> Tensor:
    return torch.floor(x + 0.5).clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT)
