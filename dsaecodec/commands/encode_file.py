"""Encoding one file: what a job says, and doing it, in this process or in another."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from dsaecodec.commands.quick_import import quick_import
from dsaecodec.model_store import DEFAULT_MODEL
from dsaecodec.output import open_output
from dsaecodec.rate import bits_per_pixel, kilobits_per_second
from dsaecodec.rate_control import SizeLimit, check_readable_again, encode_to_size

if TYPE_CHECKING:
    from dsaecodec.codec import EncodeReport
    from dsaecodec.model_choice import Choice
    from dsaecodec.video import VideoInfo, VideoReader
    from dsaecodec.video.sound import SoundReader


DEFAULT_QUALITY = 50
NO_LIMIT = SizeLimit()


@dataclass(frozen=True)
class EncodeJob:
    """One video to encode; plain values, so that a process can be sent it.

    Attributes:
        source: the video's path, "-" for standard input.
        target: the stream's path, "-" for standard output.
        overwrite: whether an existing target may be replaced.
        fps: frame rate to take the video for, None for its own.
        audio: what to do with sound, see `dsaecodec.video.sound`.
        settings: fields of `dsaecodec.codec.EncodeOptions`.
        limit: of the stream's size; if there is one, the quality of `settings` is only a guess.
    """

    source: str
    target: str
    overwrite: bool
    fps: Fraction | None
    audio: str
    settings: dict[str, Any]
    limit: SizeLimit = NO_LIMIT


class Step(NamedTuple):
    """How far a job is.

    Attributes:
        frames: done.
        bytes: written for them, None where it is not a stream that is written.
        length: frames in all, None if unknown.
        fps: rate of the video.
        note: which of several tries this is.
    """

    frames: int
    bytes: int | None
    length: int | None
    fps: Fraction
    note: str = ""


def encode_file(job: EncodeJob, tell: Callable[[Step], None]) -> dict[str, Any]:
    """Encode a video to a .dsz file that appears whole or not at all.

    Args:
        job: what to encode.
        tell: is called with how far the work is.

    Returns:
        What was done, ready for JSON.

    Raises:
        CodecError: see `dsaecodec.errors`.
    """
    if job.limit:
        check_readable_again(job.source)
    from dsaecodec.model_choice import choose_model

    wanted = job.settings
    choice = choose_model(wanted["model"], job.source, wanted["quality"], wanted["device"])
    attempt = _Attempt(job, choice, tell)
    with open_output(job.target, overwrite=job.overwrite) as sink:
        if job.limit:
            done = encode_to_size(attempt.run, job.limit, sink)
        else:
            done = attempt.run(wanted["quality"], sink)
    return {
        "input": job.source,
        "output": job.target,
        "model": Path(choice.model or DEFAULT_MODEL).stem,
        **asdict(done),
        "bpp": bits_per_pixel(done.bytes, done.frames, attempt.info.height, attempt.info.width),
        "kbps": kilobits_per_second(done.bytes, done.duration),
        "fps": done.frames / max(done.seconds, 1e-9),
        "notes": attempt.notes,
    }


class _Attempt:
    """Encodings of one video.

    Attributes:
        info, notes: of the video, once one was made.
    """

    info: VideoInfo
    notes: list[str]

    def __init__(self, job: EncodeJob, choice: Choice, tell: Callable[[Step], None]) -> None:
        self._job, self._choice, self._tell = job, choice, tell
        self._count = 0

    def run(self, quality: float, sink: BinaryIO) -> EncodeReport:
        """Encode it once."""
        from dsaecodec.video import open_video

        job, self._count = self._job, self._count + 1
        with (
            open_video(job.source, fps=job.fps, rgb=self._choice.rgb) as video,
            _open_sound(job, video) as sound,
        ):
            with quick_import():
                from dsaecodec.codec import EncodeOptions, Progress, encode_video

            length = video.info.num_frames
            if (limit := job.settings["num_frames"]) is not None:
                length = min(limit, length or limit)
            info = self.info = replace(video.info, num_frames=length)
            note = f"try {self._count}, quality {quality:.4g}" if job.limit else ""

            def show(progress: Progress) -> None:
                self._tell(Step(progress.frames, progress.bytes, length, info.fps, note))

            show(Progress(0, 0))
            settings = {**job.settings, "model": self._choice.model, "quality": quality}
            done = encode_video(video, info, sink, EncodeOptions(**settings), show, sound)
            more = sound.notes if sound else _without_sound(job, video)
            self.notes = [*video.notes, *more]
        return done


def _without_sound(job: EncodeJob, video: VideoReader) -> list[str]:
    """Why there is no sound where there might be."""
    if job.audio == "none":
        return []
    if video.retimed:
        return ["sound, if there is any, is left out: the pictures are shown at another rate"]
    if job.source == "-" and video.timed:
        return ["sound on standard input, if there is any, is left out: name the file instead"]
    return []


def _open_sound(job: EncodeJob, video: VideoReader) -> AbstractContextManager[SoundReader | None]:
    """The video's sound, if it may have any and is heard at its speed."""
    if job.audio == "none" or video.retimed or not os.path.isfile(job.source):
        return nullcontext()
    from dsaecodec.video.sound import open_sound

    return open_sound(job.source, job.audio, video.start) or nullcontext()
