"""`dsaecodec encode`: videos to .dsz files, one after the other or several at a time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from dsaecodec.commands.console import Failure, print_json, say, say_notes, shown
from dsaecodec.commands.encode_batch import encode_all
from dsaecodec.commands.encode_file import DEFAULT_QUALITY, EncodeJob, Step, encode_file
from dsaecodec.commands.targets import check_target, made_folder, name_targets
from dsaecodec.rate_control import SizeLimit


@dataclass(frozen=True)
class Request:
    """Arguments of `dsaecodec encode`, as its --help explains them."""

    sources: list[str]
    output: str | None
    quality: int | None
    target_size: int | None
    bitrate: int | None
    preset: str
    gop: int | None
    resilient: int | None
    frames: int | None
    fps: Fraction | None
    audio: str
    jobs: int
    threads: int | None
    max_memory: int | None
    device: str
    model: str | None
    overwrite: bool
    quiet: bool
    as_json: bool

    @property
    def limit(self) -> SizeLimit:
        """Of the stream's size."""
        return SizeLimit(self.target_size, self.bitrate)


def run(request: Request) -> int:
    """Encode; a batch goes on when one of its files fails.

    Returns:
        The exit code: of a batch, that of the first input that failed.

    Raises:
        CodecError: of a single input, why it failed; of several, why the batch cannot begin.
    """
    targets = name_targets(request.sources, request.output, ".dsz")
    if request.model not in (None, "auto"):
        from dsaecodec.model_store import find_model

        find_model(request.model)
    num_workers = min(request.jobs, len(request.sources))
    threads = request.threads
    if threads is None and num_workers > 1:
        threads = max(1, _num_cores() // num_workers)
    settings = {
        "quality": DEFAULT_QUALITY if request.quality is None else request.quality,
        "preset": request.preset,
        "gop": request.gop,
        "resilient": request.resilient,
        "num_frames": request.frames,
        "threads": threads,
        "max_memory": request.max_memory,
        "device": request.device,
        "model": request.model,
    }
    jobs = [
        EncodeJob(
            source=source,
            target=target,
            overwrite=request.overwrite,
            fps=request.fps,
            audio=request.audio,
            settings=settings,
            limit=request.limit,
        )
        for source, target in zip(request.sources, targets, strict=True)
    ]
    with made_folder(request.output):
        if len(jobs) == 1:
            return _run_one(request, jobs[0])
        return _run_batch(request, jobs, num_workers)


def _run_one(request: Request, job: EncodeJob) -> int:
    check_target(job.source, job.target, overwrite=job.overwrite, as_json=request.as_json)
    from dsaecodec.report import ProgressDisplay

    with ProgressDisplay("encoding", quiet=request.quiet) as display:
        facts = encode_file(job, lambda step: display.update(job.source, *step))
    _report(request, facts)
    if request.as_json:
        print_json(facts)
    return 0


def _run_batch(request: Request, jobs: Sequence[EncodeJob], num_workers: int) -> int:
    from dsaecodec.report import ProgressDisplay

    found: dict[int, dict[str, Any]] = {}
    display = ProgressDisplay("encoding", quiet=request.quiet, num_files=len(jobs))

    def tell(index: int, step: Step) -> None:
        display.update(jobs[index].source, *step)

    with display, closing(encode_all(jobs, num_workers, tell)) as outcomes:
        for index, outcome in outcomes:
            display.finish(jobs[index].source)
            if isinstance(outcome, Failure):
                outcome.print()
                found[index] = _failed(jobs[index], outcome)
            else:
                _report(request, outcome)
                found[index] = outcome
    inputs = [found[index] for index in range(len(jobs))]
    codes = [facts["exit_code"] for facts in inputs if "error" in facts]
    if not request.quiet:
        failed = f", {len(codes)} failed" if codes else ""
        say(f"{len(jobs) - len(codes)} of {len(jobs)} encoded{failed}")
    if request.as_json:
        print_json(inputs)
    return codes[0] if codes else 0


def _report(request: Request, facts: dict[str, Any]) -> None:
    """Print a result and its notes for reading."""
    if request.quiet or request.as_json:
        return
    gain = facts.get("gain")
    say(
        f"{shown(facts['output'])}: {facts['frames']} frames, {facts['bytes']:,} bytes, "
        f"{facts['bpp']:.4f} bpp, {facts['kbps']:.1f} kb/s, {facts['fps']:.1f} fps"
        + (f", quality {facts['quality']:.4g}" if request.limit else "")
        + (f", preset slow saved {gain:.1%}" if gain is not None else "")
    )
    say_notes(facts["notes"])


def _failed(job: EncodeJob, failure: Failure) -> dict[str, Any]:
    """A failure as --json lists it."""
    return {
        "input": job.source,
        "output": job.target,
        "error": failure.message,
        "hint": failure.hint,
        "exit_code": failure.exit_code,
    }


def _num_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
