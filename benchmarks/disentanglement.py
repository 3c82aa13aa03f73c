"""Do f and z_t hold what they should? Sprites, from decoded files, judged by classifiers.

    python benchmarks/disentanglement.py --sprites SHEETS --model sprites

Every held-out character in every motion is coded to a file. Then, as Bai et al. (C-DSVAE, ICML
2021) and Li & Mandt (2018, section 5.1) measure it, with classifiers trained on the training
characters (a row of its own says how right they are of the clips themselves):

motion kept      z of a clip with the f of another, or an f drawn from p(f): is its action seen?
                 Acc, IS = exp E KL(p(y|x) || p(y)), H(y|x), H(y)
content kept     f of a clip with the z of another, or z drawn: are its attributes seen?
                 disagreement per attribute, in per cent
identity         of pairs of clips, same character or not, by the distance of f, and of z: EER
collapse         bytes of f and of z
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

if __package__ in (None, ""):  # run as a file: the packages are beside it
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import vector_files as files
from benchmarks.vector_files import Clips, Symbols
from dsaecodec.codec.symbols import Fleet
from dsaecodec.draw.characters import ATTRIBUTES, Character
from dsaecodec.generation import Drawer
from dsaecodec.model_io import LoadedModel, load_model
from dsaecodec.sprites import Sprites, open_sprites
from dsaecodec.vector.gop_coder import code_content, code_dynamics
from dsaecodec.vector.pictures import UNIT
from dsaecodec.vector.synthesis import to_blocks

FRAMES = 8
QUALITY = 65
SEED = 7
HEADS = {"action": 9, **dict.fromkeys(ATTRIBUTES, 6)}
Labels = NDArray[np.int64]
"""[N, 5]: action and direction together, then body, bottom, top and hair."""


class Judge(nn.Module):
    """Says what a clip shows: each frame by itself, the logits averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.local = nn.Parameter(torch.randn(64, 192, 12) / 14)
        self.net = nn.Sequential(
            nn.GELU(), nn.Linear(64 * 12, 256), nn.GELU(), nn.Linear(256, sum(HEADS.values()))
        )

    def forward(self, clips: Tensor) -> list[Tensor]:
        """Clips uint8 [N, T, H, W, 3] → logits of each head [N, classes]."""
        blocks = to_blocks(clips.permute(0, 1, 4, 2, 3).float() / UNIT - 1)
        local = torch.bmm(blocks.flatten(1, 2), self.local).transpose(0, 1).flatten(1)
        logits = self.net(local).unflatten(0, clips.shape[:2]).mean(1)
        return list(logits.split(list(HEADS.values()), dim=1))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sprites", type=Path, required=True, metavar="SHEETS")
    parser.add_argument("--model", default="sprites", metavar="NAME|PATH")
    parser.add_argument("--judge-steps", type=int, default=3000)
    parser.add_argument("--clips", type=int, default=2664)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "-o", dest="output", type=Path, default=Path("benchmarks/results/disentanglement")
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    sprites, loaded = open_sprites(options.sprites), load_model(options.model, "cpu")
    judge = train_judge(sprites, options.judge_steps)
    rows = measure(loaded, sprites, judge, options.clips)
    options.output.mkdir(parents=True, exist_ok=True)
    with open(options.output / "rows.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "test", "subject", "measure", "value"])
        for row in rows:
            writer.writerow([loaded.identity.hex(), *row[:3], f"{row[3]:.6g}"])
            print(f"{row[0]:28}{row[1]:12}{row[2]:16}{row[3]:.5g}")
    return 0


def held_out(sprites: Sprites, count: int) -> tuple[Clips, Labels, Labels]:
    """Clips aligned, their labels, and the numbers of their characters."""
    chosen = files.held_out_clips(sprites.held_out, count)
    clips = np.stack([sprites.clip(c, a, d, FRAMES) for c, a, d, _ in chosen])
    labels = [[3 * a + d, *Character.from_index(c)] for c, a, d, _ in chosen]
    return clips, np.array(labels), np.array([c for c, *_ in chosen])


def train_judge(sprites: Sprites, steps: int) -> Judge:
    """A classifier trained on the training characters, from any phase."""
    torch.manual_seed(SEED)
    rng, judge = np.random.default_rng(SEED), Judge()
    optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        picks = [(int(rng.choice(sprites.train)), *rng.integers((3, 3, 8))) for _ in range(16)]
        clips = np.stack([sprites.clip(c, a, d, 4, p) for c, a, d, p in picks])
        truth = torch.tensor([[3 * a + d, *Character.from_index(c)] for c, a, d, _ in picks])
        logits = judge(torch.from_numpy(clips))
        loss = sum(
            (F.cross_entropy(head, truth[:, i]) for i, head in enumerate(logits)), torch.zeros(())
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return judge.eval()


@torch.no_grad()
def measure(
    loaded: LoadedModel, sprites: Sprites, judge: Judge, count: int
) -> list[tuple[str, str, str, float]]:
    """Rows (test, subject, measure, value)."""
    clips, labels, characters = held_out(sprites, count)
    coded = files.write(loaded, files.infer(loaded.vector, clips, QUALITY), QUALITY)
    sent = files.read(loaded, coded)
    rng = np.random.default_rng(SEED)
    other = rng.permutation(len(clips))
    parts = np.array([files.payload_bytes(data) for data in coded]).mean(0)
    decoded = files.show(loaded.vector, sent, QUALITY)
    rows = [
        ("files", "clips", "PSNR dB", float(files.psnr(clips, decoded).mean())),
        ("files", "clips", "bytes", float(np.mean([len(data) for data in coded]))),
        ("collapse", "f", "bytes", float(parts[0])),
        ("collapse", "z", "bytes", float(parts[1])),
    ]
    for test, pictures in (("judge on originals", clips), ("judge on decoded", decoded)):
        said = _probabilities(judge, pictures)
        for i, head in enumerate(HEADS):
            rows.append((test, head, "accuracy %", _accuracy(said[i], labels[:, i])))
    kinds = {
        "motion kept, f swapped": Symbols(sent.f[other], sent.z),
        "motion kept, f drawn": Symbols(_draw_f(loaded, len(clips)), sent.z),
    }
    for test, symbols in kinds.items():
        said = _probabilities(judge, _through_files(loaded, symbols))
        rows += [(test, "action", name, value) for name, value in scores(said[0], labels[:, 0])]
    kinds = {
        "content kept, z swapped": Symbols(sent.f, sent.z[other]),
        "content kept, z drawn": Symbols(sent.f, _draw_z(loaded, len(clips))),
    }
    for test, symbols in kinds.items():
        said = _probabilities(judge, _through_files(loaded, symbols))
        for i, head in enumerate(ATTRIBUTES, 1):
            rows.append((test, head, "disagreement %", 100 - _accuracy(said[i], labels[:, i])))
    for name, latent in (("f", sent.f), ("z", sent.z.flatten(1))):
        rows.append(("identity", name, "EER %", equal_error_rate(latent.numpy(), characters)))
    return rows


def _through_files(loaded: LoadedModel, symbols: Symbols) -> Clips:
    """What decoders make of files of these symbols."""
    return files.show(
        loaded.vector, files.read(loaded, files.write(loaded, symbols, QUALITY)), QUALITY
    )


def _draw_f(loaded: LoadedModel, count: int) -> Tensor:
    drawers = Fleet([Drawer(loaded.tables, np.random.default_rng([1, i])) for i in range(count)])
    return code_content(loaded.vector, drawers, QUALITY, None, count)


def _draw_z(loaded: LoadedModel, count: int) -> Tensor:
    drawers = Fleet([Drawer(loaded.tables, np.random.default_rng([2, i])) for i in range(count)])
    return code_dynamics(loaded.vector, drawers, QUALITY, [None] * FRAMES, count)


def _probabilities(judge: Judge, clips: Clips) -> list[NDArray[np.float64]]:
    parts = [judge(torch.from_numpy(clips[i : i + 64])) for i in range(0, len(clips), 64)]
    heads = (torch.cat(logits) for logits in zip(*parts, strict=True))
    return [logits.double().softmax(1).numpy() for logits in heads]


def _accuracy(said: NDArray[np.float64], truth: Labels) -> float:
    return float(100 * (said.argmax(1) == truth).mean())


def scores(said: NDArray[np.float64], truth: Labels) -> list[tuple[str, float]]:
    """Accuracy, inception score and entropies in nats."""
    marginal = said.mean(0)
    inside = -(said * np.log(said + 1e-16)).sum(1).mean()
    between = -(marginal * np.log(marginal + 1e-16)).sum()
    return [
        ("accuracy %", _accuracy(said, truth)),
        ("IS", float(np.exp(between - inside))),
        ("H(y|x)", float(inside)),
        ("H(y)", float(between)),
    ]


def equal_error_rate(latents: NDArray[np.float64], characters: Labels) -> float:
    """Error at which as many pairs of one character are taken for two as the other way round."""
    rng = np.random.default_rng(SEED)
    spread = latents.std(0) + 1e-9
    x = latents / spread
    a, b = rng.integers(len(x), size=(2, 200_000))
    by_character = {c: np.flatnonzero(characters == c) for c in np.unique(characters)}
    mates = np.array([rng.choice(by_character[characters[i]]) for i in a[:20_000]])
    same = np.linalg.norm(x[a[:20_000]] - x[mates], axis=1)[mates != a[:20_000]]
    if not len(same):
        return float("nan")  # one clip of each character
    differ = np.linalg.norm(x[a] - x[b], axis=1)[characters[a] != characters[b]]
    thresholds = np.quantile(np.concatenate([same, differ]), np.linspace(0, 1, 2001))
    missed = (same[:, None] > thresholds).mean(0)
    fooled = (differ[:20_000, None] <= thresholds).mean(0)
    best = int(np.abs(missed - fooled).argmin())
    return float(50 * (missed[best] + fooled[best]))


if __name__ == "__main__":
    raise SystemExit(main())
