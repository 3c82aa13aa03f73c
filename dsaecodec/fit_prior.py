"""Fit the priors to the symbols that the encoder really chooses.

    python -m dsaecodec.fit_prior CHECKPOINT --data FOLDER… -o DIR --minutes N

Training sees latents with additive noise; the encoder rounds against the prior's own code lengths.
This last stage encodes shots of the training data at random qualities, keeps the symbols, and
minimises their code length over the two priors alone. Posterior and synthesis stay as they are.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor

from bitstream import SymbolDecoder
from dsaecodec import likelihood
from dsaecodec.code_length import content_parameters, dynamics_parameters
from dsaecodec.codec.gop_coder import code_content, code_dynamics
from dsaecodec.codec.gop_encoder import GopEncoder
from dsaecodec.codec.gop_plan import plan_gops
from dsaecodec.codec.pictures import grid_size, limited_threads
from dsaecodec.codec.preset import PRESETS
from dsaecodec.data import Shot, load
from dsaecodec.model import SpatialConfig, SpatialModel
from dsaecodec.model_io import load_model, save_model
from dsaecodec.train import parameter_groups
from dsaecodec.video.frame import Frame420

MAX_FRAMES = PRESETS["medium"].gop + 1
HELD_OUT = 8  # one GOP in so many judges


@dataclass(frozen=True)
class CodedGop:
    """Symbols of one GOP."""

    quality: int
    refs_previous: bool
    hyper: Tensor  # int32 [1, hyper, ⌈h/2⌉, ⌈w/2⌉]
    f: Tensor  # int32 [1, C, h, w]
    z: Tensor  # int32 [T, C, h, w]
    pixels: int


def collect(model: Path, shot: Shot, quality: int, gop: int) -> list[CodedGop]:
    """Encode a shot and read its symbols back."""
    loaded = load_model(str(model), "cpu")
    height, width = shot.luma.shape[1:]
    size = grid_size(height, width)
    frames = (
        Frame420(y.numpy(), c[0].numpy(), c[1].numpy())
        for y, c in zip(shot.luma, shot.chroma, strict=True)
    )
    encoder, coded = GopEncoder(loaded, height, width, quality), []
    for plan in plan_gops(islice(frames, MAX_FRAMES), gop):
        with limited_threads(1):
            data = encoder.encode_whole(plan)
            coder = SymbolDecoder(data.content, loaded.tables)
            hyper, f = code_content(loaded.model, coder, size, quality, None)
            coder = SymbolDecoder(data.segments[0].payload, loaded.tables)
            setting = (size, quality, data.refs_previous, data.num_frames)
            z = code_dynamics(loaded.model, coder, *setting, None)
        hyper, f, z = (x.to(torch.int32) for x in (hyper, f, z))
        coded.append(CodedGop(quality, data.refs_previous, hyper, f, z, height * width))
    return coded


def gop_bits(model: SpatialModel, gop: CodedGop) -> Tensor:
    """Code length of all symbols of a GOP, with gradients for the priors."""
    hyper, f, z = (x.float() for x in (gop.hyper, gop.f, gop.z))
    mean, index = model.content_prior.hyper_parameters(hyper)
    bits = likelihood.bits(hyper, mean, index).sum()
    bits = bits + content_parameters(model.content_prior, hyper, f, gop.quality).bits(f).sum()
    z = z[None]
    said = dynamics_parameters(model.dynamics_prior, z, gop.quality, gop.refs_previous)
    return bits + said.bits(z.flatten(0, 1)).sum()


def judge(model: SpatialModel, gops: list[CodedGop]) -> float:
    """Mean bits a pixel and frame of GOPs."""
    with torch.no_grad():
        rates = [float(gop_bits(model, g)) / (g.pixels * g.z.shape[0]) for g in gops]
    return sum(rates) / len(rates)


def fit(
    model: SpatialModel, gops: list[CodedGop], minutes: float, rate: float, seed: int, log: Path
) -> None:
    """Minimise the code length of symbols over the priors."""
    judged, gops = gops[::HELD_OUT], [g for i, g in enumerate(gops) if i % HELD_OUT]
    priors = {id(p) for m in (model.content_prior, model.dynamics_prior) for p in m.parameters()}
    groups = parameter_groups(model, rate)
    for group in groups:
        group["params"] = [p for p in group["params"] if id(p) in priors]
    optimizer = torch.optim.Adam([g for g in groups if g["params"]], betas=(0.9, 0.98))
    generator = torch.Generator().manual_seed(seed)
    begin, step = time.monotonic(), 0
    with open(log, "a", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([0, 0, f"{judge(model, judged):.6f}"])
        while (progress := (time.monotonic() - begin) / (60 * minutes)) < 1:
            optimizer.zero_grad(set_to_none=True)
            for pick in torch.randint(len(gops), (2,), generator=generator).tolist():
                bits = gop_bits(model, gops[pick])
                # the logarithm weighs a halving alike at all rates
                (bits / bits.detach()).backward()
            for group in optimizer.param_groups:
                warm = min(1.0, (step + 1) / 50)
                cosine = 0.5 * (1 + math.cos(math.pi * progress))
                group["lr"] = rate * group["ratio"] * warm * (0.02 + 0.98 * cosine)
            optimizer.step()
            model.project_()
            step += 1
            if step % 200 == 0:
                now = time.monotonic() - begin
                writer.writerow([step, f"{now:.0f}", f"{judge(model, judged):.6f}"])
                file.flush()
        writer.writerow([step, f"{60 * minutes:.0f}", f"{judge(model, judged):.6f}"])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--shots", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    state = torch.load(args.checkpoint, weights_only=True, map_location="cpu")
    model = SpatialModel(SpatialConfig())
    model.load_state_dict(state["model"])
    start = args.out / "start.safetensors"
    save_model(model, start)
    shots = [s for s in load(args.data, args.cache) if len(s) > 1]
    generator = torch.Generator().manual_seed(args.seed)
    picks = torch.randperm(len(shots), generator=generator)[: args.shots].tolist()
    qualities = torch.randint(5, 96, (len(picks),), generator=generator).tolist()
    lengths = [
        PRESETS["medium"].gop // 2 if i % 4 else PRESETS["medium"].gop for i in range(len(picks))
    ]
    # forked workers would inherit locks of torch's threads
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        jobs = [
            pool.submit(collect, start, shots[i], q, g)
            for i, q, g in zip(picks, qualities, lengths, strict=True)
        ]
        gops = [gop for job in jobs for gop in job.result()]
    print(f"{len(gops)} GOPs of {len(picks)} shots")
    fit(model, gops, args.minutes, args.learning_rate, args.seed, args.out / "log.csv")
    torch.save({"model": model.state_dict()}, args.out / "checkpoint.pt")


if __name__ == "__main__":
    main()
