"""Points of an earlier run, in the place of coding the same again.

Other codecs do not change when ours does, and take most of the time.
"""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

from benchmarks.rd.names import ABLATION, OURS
from benchmarks.rd.point import Point, read_points
from benchmarks.rd.run import Job


class EarlierRun:
    """What an earlier run found of codecs that are not ours.

    A point stands for a job if clip, quality and settings, versions of libraries included, agree.

    Args:
        folder: that the run wrote, `points.csv`, `settings.csv` and `run.json` in it.

    Raises:
        OSError: one of them cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        points = read_points(folder / "points.csv")
        self._points = {
            (p.fingerprint, p.codec, p.quality): p
            for p in points
            if p.codec not in (OURS, ABLATION) and not p.matched
        }
        with open(folder / "settings.csv", newline="") as file:
            rows = csv.DictReader(file)
            self._settings = {(r["codec"], float(r["quality"]), r["settings"]) for r in rows}
        run = json.loads((folder / "run.json").read_text())
        own = f"commit {run['commit']}, {run['date']}, {run['machine']}"
        self.origin: str = run.get("others") or own

    def find(self, job: Job) -> Point | None:
        """The point of a job, None if there is none."""
        name, quality = job.codec.name, job.quality
        point = self._points.get((job.clip.fingerprint[:16], name, quality))
        if point is None or job.matched:
            return None
        settings = job.codec.settings(job.clip, quality)
        if (name, quality, settings) not in self._settings:
            return None
        return replace(point, group=job.clip.group, clip=job.clip.name, settings=settings)
