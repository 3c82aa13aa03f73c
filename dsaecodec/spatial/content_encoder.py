"""The content of one GOP at the encoder: inferred, coded, and of some ways the cheapest kept.

frame ─ posterior ─► f ──────────────────────────────┐
frame - prediction ─ posterior ─► f, with f_motion ──┴─ code ─► bytes, planes ─► the lower J
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from torch import Tensor

from bitstream import SymbolEncoder
from dsaecodec.codec.symbols import Coder, Unheard
from dsaecodec.codec.threads import Crew
from dsaecodec.model_io import LoadedModel
from dsaecodec.spatial.alignment import align_content
from dsaecodec.spatial.content import ContentSymbols
from dsaecodec.spatial.gop_coder import ContentTargets, Target, code_content, code_motion, fixed
from dsaecodec.spatial.kinematics import HALF
from dsaecodec.spatial.model import CONTENT_REACH, encoder_lagrangian
from dsaecodec.spatial.pictures import squared_error
from dsaecodec.spatial.synthesis import Planes, Yuv

CONTENT_MOTION_STEPS = (5, 15)  # of descent, in every preset: of older models, of precise ones
TRIED = (1, 2)  # finenesses of f_motion
LEANING = 8.0  # frames that lean on a content, where ways to code it are compared


class CodedContent(NamedTuple):
    """A content, and what became of it.

    Attributes:
        targets: before rounding, on the CPU.
        symbols: what they were rounded to.
        prediction: what f is added to, None if the content stands alone.
        payload: coder bytes.
        planes: what they decode to.
    """

    targets: ContentTargets
    symbols: ContentSymbols
    prediction: Yuv | None
    payload: bytes
    planes: Planes


class ContentEncoder:
    """Infers and codes contents.

    Args:
        loaded: the model.
        size: (h, w) of the grid of f.
        quality: 0…100.
        crew: does the work.
    """

    def __init__(
        self, loaded: LoadedModel, size: tuple[int, int], quality: int, crew: Crew
    ) -> None:
        self._loaded, self._model = loaded, loaded.spatial
        self._size, self._quality, self._crew = size, quality, crew
        self._lmbda = encoder_lagrangian(quality)

    def encode(self, frame: Yuv, previous: Planes | None, vectors: Tensor | None) -> CodedContent:
        """A content that stands alone or, if that costs less, is predicted.

        Args:
            frame: that it is inferred from.
            previous: planes of the content before; None: there are none to predict from.
            vectors: motion to them, [1, 2, h, w] pixels.
        """
        works = [self._crew.submit(partial(self._alone, frame))]
        if previous is not None and vectors is not None and self._loaded.predicts:
            for motion in self._motions(frame, previous, vectors):
                works.append(self._crew.submit(partial(self._predicted, frame, previous, motion)))
        found = [work.result() for work in works]
        return min(found, key=partial(self._cost, frame)) if len(found) > 1 else found[0]

    def code(
        self, targets: ContentTargets, prediction: Yuv | None, coder: Coder
    ) -> tuple[ContentSymbols, Planes]:
        """Code a content.

        Args:
            targets: what to say.
            prediction: what f is added to, on the device; None if the content stands alone.
            coder: to say it to.

        Returns:
            Its symbols, on the CPU, and the planes they decode to, on the device.
        """
        symbols = code_content(self._model, coder, self._size, self._quality, targets)
        f_hat = symbols.f.float().to(self._loaded.device) * self._model.f_steps(self._quality)
        return symbols, self._model.synthesize_content(f_hat, self._quality, prediction)

    def finish(self, targets: ContentTargets, prediction: Yuv | None) -> CodedContent:
        """Code a content to bytes, see `code`."""
        coder = SymbolEncoder(self._loaded.tables)
        symbols, planes = self.code(targets, prediction, coder)
        return CodedContent(targets, symbols, prediction, coder.finish(), planes)

    def _alone(self, frame: Yuv) -> CodedContent:
        return self.finish(self._targets(frame, None, None), None)

    def _predicted(self, frame: Yuv, previous: Planes, motion: Tensor) -> CodedContent:
        prediction = self._model.predict_content(
            previous, motion.float().to(self._loaded.device), self._quality
        )
        return self.finish(self._targets(frame, prediction, fixed(motion)), prediction)

    def _targets(self, frame: Yuv, prediction: Yuv | None, motion: Target | None) -> ContentTargets:
        posterior, steps = self._model.content_posterior, self._model.f_steps(self._quality)
        scaled = posterior(frame, prediction) / steps
        hyper = posterior.infer_hyper(scaled)
        stiffness = CONTENT_REACH * steps.square() / self._lmbda
        return ContentTargets(fixed(hyper.cpu()), Target(scaled.cpu(), stiffness.cpu()), motion)

    def _motions(self, frame: Yuv, previous: Planes, vectors: Tensor) -> list[Tensor]:
        """f_motion [1, 2, h, w] to try, from vectors to planes: symbols, float64, on the CPU."""
        precise = self._model.motion_prior is not None
        motion = vectors / (2 * self._model.z_steps(self._quality)[:, HALF])
        setting = (self._quality, self._lmbda, CONTENT_MOTION_STEPS[precise])
        values, stiffness = align_content(self._model, frame.luma, previous, motion, *setting)
        found: list[Tensor] = []
        for fineness in TRIED if precise else (0,):
            target = Target(values.cpu() * 2**fineness, stiffness.cpu() / 4**fineness)
            motion = code_motion(
                self._model, Unheard(), self._size, self._quality, target, fineness
            )
            if not any(motion.equal(other) for other in found):
                found.append(motion)
        return found

    def _cost(self, frame: Yuv, coded: CodedContent) -> float:
        """J in bits, of the content and of the frames that lean on it."""
        error = float(squared_error(frame, coded.planes.picture))
        return 8 * len(coded.payload) + LEANING * error / self._lmbda
