"""`dsaecodec train` and `pack` as a user types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from dsaecodec.cli import main
from dsaecodec.model_io import load_model
from dsaecodec.tables import build_tables
from dsaecodec.training.packed import write_pack
from dsaecodec.training.start import RunRequest, start_run
from dsaecodec.training.team import Team

ROOT = Path(__file__).parents[2]
SMALL = [
    "--threads=1",
    "--set=content.steps=2",
    "--set=content.batch=2",
    "--set=content.size=64",
    "--set=clips.steps=2",
    "--set=clips.size=64",
    "--set=clips.num_frames=4",
    "--set=priors.steps=0",
]


@pytest.fixture(scope="module")
def pack(tmp_path_factory, drawn_shots) -> Path:
    path = tmp_path_factory.mktemp("data") / "shots.safetensors"
    write_pack(path, drawn_shots)
    return path


def test_a_model_from_a_pack_encodes_and_decodes(pack, tmp_path, capsys, monkeypatch, clip):
    out = tmp_path / "mine"
    assert main(["train", "--preset=natural", "--data", str(pack), "-o", str(out), *SMALL]) == 0
    said = capsys.readouterr()
    weights = out / "mine.safetensors"
    loaded = load_model(str(weights))
    assert said.out == f"{weights}: model {loaded.identity.hex()}\n"
    monkeypatch.setenv("DSAECODEC_MODELS", str(out))
    stream, decoded = tmp_path / "clip.dsz", tmp_path / "decoded.y4m"
    assert main(["encode", str(clip), "-o", str(stream), "--model", "mine", "--quiet"]) == 0
    assert main(["decode", str(stream), "-o", str(decoded), "--quiet"]) == 0
    assert main(["models", "--json"]) == 0
    names = {model["name"]: model for model in json.loads(capsys.readouterr().out)}
    assert names["mine"]["description"] == "ordinary video of any size"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    from fractions import Fraction

    from dsaecodec.draw import moving_layers
    from dsaecodec.video import VideoInfo, VideoWriter, rgb_to_420

    path = tmp_path / "clip.y4m"
    with VideoWriter(path, VideoInfo(40, 32, Fraction(25))) as writer:
        for rgb in moving_layers(3, 32, 40):
            writer.write(rgb_to_420(rgb))
    return path


def test_training_needs_no_library_for_video_or_coding(pack, tmp_path):
    """Nor one for progress bars or plots, where data come packed."""
    out = tmp_path / "bare"
    arguments = ["train", "--preset=natural", f"--data={pack}", f"-o{out}", *SMALL]
    script = f"""
import sys
for name in "av cv2 constriction rich matplotlib scipy".split():
    sys.modules[name] = None
from dsaecodec.cli import main
sys.exit(main({arguments!r}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert "install Matplotlib" in done.stderr
    load_model(str(out / "bare.safetensors"))


def test_resume_goes_on_and_refuses_what_differs(pack, tmp_path, capsys):
    out = tmp_path / "run"
    begin = ["train", "--preset=natural", "--data", str(pack), "-o", str(out)]
    assert main([*begin, *SMALL, "--max-minutes=1e-6", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert not first["finished"] and first["steps"] == {"content": 1, "clips": 0}
    assert main([*begin, *SMALL]) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert main([*begin, *SMALL, "--resume", "--set=seed=9"]) == 2
    assert "seed: 1, 9" in capsys.readouterr().err
    assert main(["train", "-o", str(out), "--resume", "--data", "elsewhere"]) == 3
    assert "elsewhere: no such file" in capsys.readouterr().err
    assert main(["train", "-o", str(out), "--resume", "--json", "--threads=1"]) == 0
    last = json.loads(capsys.readouterr().out)
    assert last["finished"] and last["steps"] == {"content": 2, "clips": 2}
    assert last["identity"] != first["identity"]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        ([], 2, "--preset"),
        (["--preset=natural"], 2, "needs --data"),
        (["--preset=natura", "--data=x"], 2, "presets: balls, natural, sprites, tiny"),
        (["--preset=natural", "--data=nowhere"], 3, "no such file or folder"),
        (["--preset=natural", "--data=.", "--set=clips.step=3"], 2, "clips.step: no such key"),
        (["--preset=natural", "--data=.", "--init=nobody"], 5, "no such model"),
        (["--preset=tiny", "--max-minutes=0"], 2, "above 0"),
        (["--preset=tiny", "--set=clips.num_frames=400"], 2, "longest"),
        (["--preset=tiny", "-o", ""], 2, "no folder"),
        (["--preset=tiny", "-o", "/"], 2, "no folder"),
    ],
)
def test_mistakes_are_said_in_a_line(arguments, exit_code, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "-o", "out", *arguments]) == exit_code
    lines = capsys.readouterr().err
    assert said in lines and "Traceback" not in lines
    assert not (tmp_path / "out").exists()  # so that the same command, mended, can begin there


def test_an_init_of_another_shape_is_refused(pack, tmp_path, capsys):
    arguments = ["--preset=natural", "--data", str(pack), "-o", str(tmp_path / "x"), *SMALL]
    assert main(["train", *arguments, "--init=natural", "--set=model.residual_luma=32"]) == 2
    assert "another shape" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_run_stopped_before_its_first_checkpoint_starts_from_the_same_weights(pack, tmp_path):
    out, weights = tmp_path / "x", load_model("natural", "cpu").model.state_dict()
    begin = ["--preset=natural", f"--data={pack}", f"-o{out}", "--init=natural", *SMALL]
    assert main(["train", *begin, "--max-minutes=1e-6"]) == 0
    (out / "checkpoint.pt").unlink()
    again = start_run(RunRequest(out, resume=True), Team(0, 1, torch.device("cpu")))
    assert all(torch.equal(v, weights[k]) for k, v in again.model.state_dict().items())
    assert main(["train", *begin, "--resume", "--init=nobody"]) == 5


def test_a_run_without_priors_keeps_the_tables_it_started_from(pack, tmp_path):
    """Through its checkpoint, too."""
    out, tables = tmp_path / "x", load_model("natural", "cpu").tables
    begin = ["--preset=natural", f"--data={pack}", f"-o{out}", "--init=natural", *SMALL]
    assert main(["train", *begin, "--set=priors.steps=0", "--max-minutes=1e-6"]) == 0
    assert main(["train", f"-o{out}", "--resume"]) == 0
    kept = load_model(str(out / "x.safetensors"), "cpu").tables
    assert not np.array_equal(tables.freqs, build_tables().freqs)
    assert np.array_equal(kept.freqs, tables.freqs)
    assert np.array_equal(kept.half_widths, tables.half_widths)


def test_data_may_move_between_two_parts_of_a_run_but_not_change(
    pack, drawn_shots, tmp_path, capsys
):
    out, moved, others = tmp_path / "m", tmp_path / "moved.safetensors", tmp_path / "o.safetensors"
    begin = ["train", "--preset=natural", f"--data={pack}", f"-o{out}", *SMALL]
    assert main([*begin, "--max-minutes=1e-6"]) == 0
    write_pack(others, drawn_shots[:-1])
    assert main(["train", f"-o{out}", "--resume", f"--data={others}"]) == 2
    assert "is not what the run learnt from" in capsys.readouterr().err
    moved.write_bytes(pack.read_bytes())
    assert main(["train", f"-o{out}", "--resume", f"--data={moved}"]) == 0
    assert json.loads((out / "run.json").read_text())["data"] == [str(moved)]


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_as_if_never_killed(pack, tmp_path):
    """Kill -9 twice while it trains; the weights are those of a run left alone."""
    settings = [*SMALL, "--set=content.steps=60", "--set=clips.steps=40", "--set=judge_minutes=99"]
    program = (
        "import sys; from dsaecodec.training import trainer; trainer.SAVE_SECONDS = 0; "
        "from dsaecodec.cli import main; sys.exit(main())"
    )
    left_alone, killed = tmp_path / "a" / "m", tmp_path / "b" / "m"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(out: Path, *more: str) -> subprocess.Popen[bytes]:
        out.parent.mkdir(exist_ok=True)
        command = [sys.executable, "-c", program, "train", "--quiet", "--preset=natural"]
        arguments = [f"--data={pack}", *settings, f"-o{out}", *more]
        return subprocess.Popen([*command, *arguments], cwd=ROOT, env=environment)

    assert start(left_alone).wait() == 0
    checkpoint = killed / "checkpoint.pt"
    for saves in (5, 30):
        running, seen = start(killed, "--resume"), set()
        while len(seen) < saves and running.poll() is None:
            if checkpoint.exists():
                seen.add(checkpoint.stat().st_mtime_ns)
            time.sleep(0.002)
        running.kill()
        assert running.wait() == -signal.SIGKILL, "it ended before it was killed"
    assert start(killed, "--resume").wait() == 0
    weights = [(out / "m.safetensors").read_bytes() for out in (left_alone, killed)]
    assert weights[0] == weights[1]


def test_photos_alone_teach_motion_where_all_clips_are_made(drawn_shots, tmp_path, capsys):
    path = tmp_path / "photos.safetensors"
    write_pack(path, [shot.still(1) for shot in drawn_shots])
    arguments = [
        "train",
        "--preset=natural",
        "--data",
        str(path),
        "-o",
        str(tmp_path / "x"),
        *SMALL,
    ]
    assert main(arguments) == 2
    assert "clip" in capsys.readouterr().err
    assert main([*arguments, "--set=clips.synthetic=1"]) == 0
    assert "not judged" in capsys.readouterr().err
