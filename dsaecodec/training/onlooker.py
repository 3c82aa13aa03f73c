"""Looks at a model in training: rows of judgements, warnings, a picture of progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from dsaecodec.errors import ConfigError
from dsaecodec.training.config import TrainConfig
from dsaecodec.training.folder import Logs, RunFolder
from dsaecodec.training.judge import Judge, warnings_of
from dsaecodec.training.pictures import draw_progress
from dsaecodec.training.shots import Shot
from dsaecodec.training.stages import Stage
from dsaecodec.training.vector_judge import VectorJudge


class Onlooker:
    """Judges weights that have just been saved, and says what goes wrong.

    Args:
        folder: of the run.
        logs: where judgements go.
        precision: of the networks, as in training.
        notify: is told what the user should know.
    """

    def __init__(
        self,
        folder: RunFolder,
        logs: Logs,
        precision: Callable[[], AbstractContextManager[Any]],
        notify: Callable[[str], None],
    ) -> None:
        self.logs = logs
        self._folder, self._precision, self._notify = folder, precision, notify
        self._judge: Judge | VectorJudge | None = None
        self._said: set[str] = set()

    def prepare(self, config: TrainConfig, shots: Sequence[Shot], device: torch.device) -> None:
        """Take the middles of clips to judge by, if they are enough."""
        try:
            if config.is_vector:
                shape = (config.sequences.num_frames, config.vector.size)
                self._judge = VectorJudge(shots, *shape, device, config.sequences.bit)
            else:
                self._judge = Judge(shots, config.clips.num_frames, device)
        except ConfigError as error:
            self._say_once(f"not judged on the way: {error}")

    def look(self, model: Any, stage: Stage, step: int, seconds: float) -> None:
        """Judge by what a stage is about."""
        found = stage.judge(model)
        if found:
            row = ["" if value is None else value for value in found[1:]]
            self.logs.add_judgement([stage.name, step, f"{seconds:.1f}", "", *row, "", ""])
            self._notify(f"{stage.name}, step {step}: judged by {found.said}")
        else:
            self.judge(model, stage.name, step, seconds)

    def judge(self, model: Any, stage: str, step: int, seconds: float) -> None:
        """Judge by held-out clips, if there are any."""
        if not self._judge:
            return
        # Compiled code is for the shapes of training; every clip to judge by has its own.
        with self._precision(), torch.compiler.set_stance("force_eager"):
            judgements = self._judge.judge(model)
            pictures = self._judge.pictures(model)
        excess = None
        if stage != "sketch":  # its priors are not trained yet
            excess = self._judge.coded_excess(model, self._folder.weights)
        for j in judgements:
            values = [j.psnr_db, j.bits_content, j.bits_dynamics, j.bpp, j.loss]
            tail = "" if excess is None else excess
            self.logs.add_judgement([stage, step, f"{seconds:.1f}", j.quality, *values, tail])
        for warning in warnings_of(judgements, excess):
            self._notify(f"warning: {stage}, step {step}: {warning}")
        points = ", ".join(f"{j.psnr_db:.2f} dB at {j.bpp:.4f} bpp" for j in judgements)
        self._notify(f"{stage}, step {step}: judged by {points}")
        try:
            if not draw_progress(self._folder.picture, *self.logs.read(), pictures):
                self._say_once("install Matplotlib to have progress.png")
        except Exception as error:  # a picture must not end a training
            self._say_once(f"progress.png cannot be drawn: {error}")

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._notify(line)
