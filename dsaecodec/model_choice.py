"""Which model to encode a video with, where nobody says: the one that costs least."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from io import BytesIO
from itertools import islice
from typing import NamedTuple

import numpy as np

from dsaecodec import model_store
from dsaecodec.errors import ModelError
from dsaecodec.output import is_special

AUTO = "auto"
TRIED_FRAMES = 32


class Choice(NamedTuple):
    """A model to encode with.

    Attributes:
        model: name or path; None: the default.
        rgb: whether it takes RGB rather than 4:2:0, see `open_video`.
    """

    model: str | None
    rgb: bool


def choose_model(
    name: str | None, source: str | os.PathLike[str], quality: float, device: str = "auto"
) -> Choice:
    """The model for a video.

    Models for pictures of the video's size are tried on its first frames, beside the default one:
    D / λ + R decides. What cannot be opened twice, such as a pipe, gets the default model.

    Args:
        name: what the user wants; "auto" or None leaves the choice.
        source: a video that `open_video` reads.
        quality: 0…100.
        device: as in `EncodeOptions`.

    Raises:
        ModelError: there is no such model.
        InputVideoError: the video cannot be read.
    """
    if name is not None and name != AUTO:
        return Choice(
            name, model_store.read_form(model_store.find_model(name)) == model_store.VECTOR
        )
    default = Choice(None, False)
    special = os.fspath(source) == "-" or is_special(os.fspath(source))
    fitting = [] if special else [m for m in model_store.list_models() if m.side and m.usable]
    if not fitting:
        return default
    from dsaecodec.video import open_video

    with open_video(source) as video:
        size = (video.info.width, video.info.height)
    fitting = [model for model in fitting if (model.side, model.side) == size]
    if not fitting:
        return default
    choices = [default, *(Choice(str(model.path), True) for model in fitting)]
    costs = [_cost(default, source, quality, device)]
    for choice in choices[1:]:
        try:
            costs.append(_cost(choice, source, quality, device))
        except ModelError:  # nobody asked for this one
            costs.append(math.inf)
    return choices[costs.index(min(costs))]


def _cost(choice: Choice, source: str | os.PathLike[str], quality: float, device: str) -> float:
    """D / λ + R in bits of the first frames, D being the squared error of RGB."""
    from dsaecodec.codec.decoder import Decoder
    from dsaecodec.codec.encoder import EncodeOptions, encode_video
    from dsaecodec.spatial.model import encoder_lagrangian
    from dsaecodec.video import frame_to_rgb, open_video

    with open_video(source, rgb=True) as video:
        frames, truth = list(islice(video, TRIED_FRAMES)), video.info
    info, given = truth, frames
    if not choice.rgb:
        with open_video(source) as video:
            given, info = list(islice(video, TRIED_FRAMES)), video.info
    sink = BytesIO()
    options = EncodeOptions(quality, model=choice.model, device=device)
    encode_video(given, replace(info, num_frames=len(given)), sink, options)
    decoder = Decoder(BytesIO(sink.getvalue()), device=device)
    error = 0.0
    for wanted, found in zip(frames, decoder, strict=True):
        colour = decoder.info.matrix, decoder.info.full_range
        error += _squared_error(frame_to_rgb(wanted, truth.matrix), frame_to_rgb(found, *colour))
    return error / 3 / encoder_lagrangian(quality) + 8 * len(sink.getvalue())


def _squared_error(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a.astype(np.int64) - b) ** 2).sum())
