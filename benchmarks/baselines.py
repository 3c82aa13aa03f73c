"""Stochastic dynamics against what they are measured against, with several seeds of each.

    python benchmarks/baselines.py --sprites SHEETS --sprites-models runs/*/*.safetensors
    python benchmarks/baselines.py --balls-models balls/*/*.safetensors

Models have the same networks, as far as they need them, and were trained on the same data for as
many steps; what each is, its file says:

stochastic     p(z_t | z_<t), the model of the paper
full           the same, trained with its full posterior q(z_1:T | x_1:T, f)
static         p(z_t): frames are coded, nothing is remembered
deterministic  an LSTM that f starts; nothing is sent for a frame
content        all frames are alike: f alone
local          z_t alone: no f

Every figure comes from files: rows.csv has one row a model and quality, comparison.csv what the
others are beside the stochastic models, curves.png both. Clips are the same for all, held-out
characters in a loop from a random frame, or balls that no model was trained on; 95 % intervals are
of a bootstrap over clips and seeds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

if __package__ in (None, ""):  # run as a file: the packages are beside it
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import matplotlib
import torch

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter
from torch import nn

from benchmarks import vector_files as files
from benchmarks.long_sequence import Material, ball_clips, sprite_clips
from benchmarks.rd.bd import compare
from benchmarks.vector_files import Symbols
from dsaecodec.model_io import LoadedModel, load_model
from dsaecodec.sprites import open_sprites
from dsaecodec.vector.model import VectorModel

OURS = "stochastic"
QUALITIES = (5, 20, 35, 50, 65, 80, 95)
FRAMES = 32
GAP = range(11, 21)  # 30 % of the frames, in the middle
GAP_QUALITY = 65
RESAMPLES = 1000
COLOURS = {  # of Okabe and Ito
    OURS: "#0072b2",
    "full": "#56b4e9",
    "static": "#009e73",
    "deterministic": "#d55e00",
    "content": "#767676",
    "local": "#cc79a7",
}
Figures = NDArray[np.float64]
Picks = NDArray[np.int64]
Measured = tuple[Figures, Figures, np.floating]


@dataclass(frozen=True)
class Row:
    """What a model reaches at a quality; means over clips.

    Attributes:
        set: "sprites" or "balls".
        variant: see above.
        model: name of the file.
        identity: of the model.
        parameters: numbers of the model.
        quality: -q.
        frames, clips: how long, how many.
        psnr_db: of RGB.
        file_bytes, content_bytes, dynamics_bytes: whole files and what of it is f and z.
        missing_db: with 30 % of the frames guessed; of one quality, of some of the clips, and not
            of local models.
        whole_db: of the same clips with all their frames.
        missing_clips: how many they are.
    """

    set: str
    variant: str
    model: str
    identity: str
    parameters: int
    quality: int
    frames: int
    clips: int
    psnr_db: float
    file_bytes: float
    content_bytes: float
    dynamics_bytes: float
    missing_db: float | None
    whole_db: float | None
    missing_clips: int | None


@dataclass(frozen=True)
class Contrast:
    """The stochastic models beside another variant.

    Attributes:
        set, variant: of the others.
        measure: "bd_rate_percent", bytes that the stochastic models need for equal PSNR; or
            how much better they are: "db_at_equal_bytes", "db_at_equal_quality" of -q, and
            "db_with_missing_frames", guessed in both where frames are sent.
        value: None where curves do not overlap.
        low, high: 95 % interval.
        seeds: of the stochastic models, of the others.
        clips: how many.
    """

    set: str
    variant: str
    measure: str
    value: float | None
    low: float | None
    high: float | None
    seeds: str
    clips: int


@dataclass(frozen=True)
class Trial:
    """A model on all clips.

    Attributes:
        variant: see above.
        psnr, size: dB and bytes of a file, [qualities, clips].
        missing: dB of the first clips with 30 % of the frames guessed [few].
    """

    variant: str
    psnr: Figures
    size: Figures
    missing: Figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write the tables."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.sprites_models and options.sprites is None:
        parser.error("--sprites-models needs --sprites SHEETS")
    subjects = [("sprites", path) for path in options.sprites_models]
    subjects += [("balls", path) for path in options.balls_models]
    options.output.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    trials: dict[str, list[Trial]] = defaultdict(list)
    spawn = multiprocessing.get_context("spawn")  # threads of PyTorch do not survive a fork
    with ProcessPoolExecutor(options.jobs, spawn) as pool:
        for measured, trial in pool.map(partial(_measure, options), subjects):
            for row in measured:
                print(
                    f"{row.set}  {row.variant}  {row.model}  -q {row.quality}  {row.psnr_db:.2f} dB"
                    f"  {row.file_bytes:.1f} bytes",
                    flush=True,
                )
            rows += measured
            trials[measured[0].set].append(trial)
            files.write_table(options.output / "rows.csv", Row, rows)
    contrasts = [c for name, found in trials.items() for c in compare_trials(name, found)]
    for contrast in contrasts:
        print(contrast)
    files.write_table(options.output / "comparison.csv", Contrast, contrasts)
    draw_curves(options.output / "curves.png", rows)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sprites", type=Path, metavar="SHEETS", help="source sheets of Sprites")
    parser.add_argument("--sprites-models", nargs="+", default=[], type=Path, metavar="PATH")
    parser.add_argument("--balls-models", nargs="+", default=[], type=Path, metavar="PATH")
    parser.add_argument("--clips", type=int, default=296, help="of each set")
    parser.add_argument("--few", type=int, default=74, help="of these, for missing frames")
    parser.add_argument("--jobs", type=int, default=1, help="models measured at once")
    parser.add_argument(
        "-o", dest="output", type=Path, default=Path("benchmarks/results/baselines")
    )
    return parser


def _measure(options: argparse.Namespace, subject: tuple[str, Path]) -> tuple[list[Row], Trial]:
    torch.set_num_threads(1)
    name, path = subject
    if name == "balls":
        material = ball_clips(options.clips, FRAMES)
    else:
        material = sprite_clips(open_sprites(options.sprites), True, options.clips, FRAMES)
    return measure(load_model(str(path), "cpu"), path.stem, material, options.few)


def variant_of(loaded: LoadedModel) -> str:
    """What a model is, see above."""
    config = loaded.vector.config
    if config.dynamics != OURS:
        return "content" if config.dynamics == "none" else config.dynamics
    if not config.f_channels:
        return "local"
    return "full" if config.full_posterior else OURS


def measure(
    loaded: LoadedModel, model: str, material: Material, few: int
) -> tuple[list[Row], Trial]:
    """A model at each quality; frames are missing from the first `few` clips."""
    clips = material.clips
    variant = variant_of(loaded)
    fills = variant != "local"  # a guess of everything: slow, and no use
    parameters = _parameters(loaded.vector)
    rows, psnrs, sizes, missing = [], [], [], np.zeros(0)
    for quality in QUALITIES:
        coded = files.write(loaded, files.infer(loaded.vector, clips, quality), quality)
        sent = files.read(loaded, coded)
        psnrs.append(files.psnr(clips, files.show(loaded.vector, sent, quality)).mean(1))
        sizes.append(np.array([len(data) for data in coded], np.float64))
        parts = np.array([files.payload_bytes(data) for data in coded]).mean(0)
        if fills and quality == GAP_QUALITY:
            guessed = Symbols(*(part[:few] for part in sent))
            if loaded.vector.config.coded_channels:
                guessed = files.fill(loaded, guessed, GAP, quality)
            found = files.show(loaded.vector, guessed, quality)
            missing = files.psnr(clips[:few], found).mean(1)
        rows.append(
            Row(
                material.set,
                variant,
                model,
                loaded.identity.hex(),
                parameters,
                quality,
                FRAMES,
                len(clips),
                float(psnrs[-1].mean()),
                float(sizes[-1].mean()),
                float(parts[0]),
                float(parts[1]),
                *(
                    (float(missing.mean()), float(psnrs[-1][:few].mean()), len(missing))
                    if fills and quality == GAP_QUALITY
                    else (None, None, None)
                ),
            )
        )
    return rows, Trial(variant, np.array(psnrs), np.array(sizes), missing)


def _parameters(model: VectorModel) -> int:
    """Numbers of the networks that the model needs."""
    unused: list[nn.Module] = []
    if not model.config.coded_channels:
        unused = [model.posterior.z, model.dynamics_prior]
    elif not model.dynamics_prior.recurrent:
        unused = [model.dynamics_prior.gates, model.dynamics_prior.candidate]
    without = {id(p) for module in unused for p in module.parameters()}
    return sum(p.numel() for p in model.parameters() if id(p) not in without)


def compare_trials(name: str, trials: Iterable[Trial]) -> list[Contrast]:
    """The stochastic models beside each other variant."""
    found: Mapping[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        found[trial.variant].append(trial)
    ours = found.get(OURS, [])
    contrasts: list[Contrast] = []
    for variant, others in found.items():
        if variant == OURS or not ours:
            continue
        for measure_name, contrast in _MEASURES.items():
            contrasts.append(_contrast(name, variant, measure_name, contrast, ours, others))
    return contrasts


def _contrast(
    name: str,
    variant: str,
    measure_name: str,
    contrast: Callable[[Measured, Measured], float | None],
    ours: Sequence[Trial],
    others: Sequence[Trial],
) -> Contrast:
    counts = (ours[0].psnr.shape[1], len(ours[0].missing))
    everything = (np.arange(counts[0]), np.arange(counts[1]))
    value = contrast(_mean(ours, *everything), _mean(others, *everything))
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        clips = [rng.integers(count, size=count) for count in counts]
        one, other = (
            _mean([group[i] for i in rng.integers(len(group), size=len(group))], *clips)
            for group in (ours, others)
        )
        drawn.append(contrast(one, other))
    known = [x for x in drawn if x is not None]
    # An interval of some of the resamples would be that of the lucky ones.
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) == len(drawn) else (None, None)
    seeds = f"{len(ours)}, {len(others)}"
    count = counts[contrast is _with_missing]
    return Contrast(name, variant, measure_name, value, low, high, seeds, count)


def _mean(trials: Sequence[Trial], clips: Picks, few: Picks) -> Measured:
    """Bytes and dB a quality, and dB with missing frames: means over seeds and clips."""
    size = np.mean([trial.size[:, clips].mean(1) for trial in trials], axis=0)
    psnr = np.mean([trial.psnr[:, clips].mean(1) for trial in trials], axis=0)
    guessed = [trial.missing[few].mean() if len(trial.missing) else np.nan for trial in trials]
    return size, psnr, np.mean(guessed)


def _bd_rate(ours: Measured, other: Measured) -> float | None:
    return compare(_curve(other), _curve(ours)).bd_rate_percent


def _at_equal_bytes(ours: Measured, other: Measured) -> float | None:
    return compare(_curve(other), _curve(ours)).db_at_equal_bytes


def _at_equal_quality(ours: Measured, other: Measured) -> float:
    place = QUALITIES.index(GAP_QUALITY)
    return float(ours[1][place] - other[1][place])


def _with_missing(ours: Measured, other: Measured) -> float | None:
    difference = float(ours[2] - other[2])
    return None if np.isnan(difference) else difference


_MEASURES = {
    "bd_rate_percent": _bd_rate,
    "db_at_equal_bytes": _at_equal_bytes,
    "db_at_equal_quality": _at_equal_quality,
    "db_with_missing_frames": _with_missing,
}


def _curve(measured: Measured) -> list[tuple[float, float]]:
    return list(zip(measured[0].tolist(), measured[1].tolist(), strict=True))


def draw_curves(path: Path, rows: Sequence[Row]) -> None:
    """PSNR over bytes: a panel a set, a line a model, a colour a variant."""
    sets = list(dict.fromkeys(row.set for row in rows))
    figure, panels = plt.subplots(
        1, len(sets), figsize=(5.5 * len(sets), 4), layout="constrained", squeeze=False
    )
    for panel, name in zip(panels[0], sets, strict=True):
        of_set = [row for row in rows if row.set == name]
        present = {row.variant for row in of_set}
        for variant in (known for known in COLOURS if known in present):
            label: str | None = variant
            models = dict.fromkeys(row.model for row in of_set if row.variant == variant)
            for model in models:
                curve = [row for row in of_set if row.model == model and row.variant == variant]
                size, psnr = [row.file_bytes for row in curve], [row.psnr_db for row in curve]
                panel.plot(size, psnr, ".-", color=COLOURS[variant], linewidth=1, label=label)
                label = None  # one entry a variant in the legend
        panel.set(xscale="log", xlabel="bytes of a file", ylabel="PSNR RGB, dB")
        panel.set_title(f"{name}, {FRAMES} frames", loc="left")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter(ScalarFormatter())
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False)
    figure.savefig(path, dpi=130, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    raise SystemExit(main())
