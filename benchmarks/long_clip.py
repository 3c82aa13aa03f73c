"""Memory over a long clip, and what a seek reads: `python benchmarks/long_clip.py -o OUT`.

A few drawn shots, or a video of yours, are looped. Each stage runs in a process of its own:

encode   as many frames as fit into `--encode-seconds`, or `--frames` of them
decode   all of that file
splice   its GOPs again and again up to `--hours`, through `bitstream.StreamWriter`
scan     every record of the long file is checked; with `--decode-all` it is decoded as well
seek     one frame at each of ten times of the long file, and the bytes that were read for it

OUT then holds memory.csv (a row every `--every` seconds: the largest resident size since the row
before), quarters.csv (the largest size in each quarter of a stage, and the rise from the second to
the last: the first loads the model and warms up) and seeks.csv.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import count, islice
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread
from typing import IO, Any

if __package__ in (None, ""):  # run as a file: the packages are beside it
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bitstream import RecordInfo, RecordType, StreamReader, StreamWriter, scan
from dsaecodec.codec import Decoder, EncodeOptions, Progress, encode_video
from dsaecodec.draw import moving_layers
from dsaecodec.video import Frame420, VideoInfo, open_video, rgb_to_420

FPS = 25
HEIGHT, WIDTH = 180, 320
SHOTS, SHOT_FRAMES = 3, 64
MIB = 1 << 20
SAMPLES_A_SECOND = 5


@dataclass(frozen=True)
class Sample:
    """A line of memory.csv: the largest resident size since the line before."""

    stage: str
    seconds: float
    frames: int
    rss_mib: float


@dataclass(frozen=True)
class Quarters:
    """A line of quarters.csv: the largest resident size in each quarter of a stage's time, MiB."""

    stage: str
    frames: int
    file_bytes: int
    seconds: float
    first: float
    second: float
    third: float
    fourth: float
    rise_percent: float


@dataclass(frozen=True)
class Seek:
    """A line of seeks.csv.

    Attributes:
        time: sought, seconds.
        bytes_read: by everything from opening the file to the frame.
        gop_bytes: of the GOP that shows it and, where that refers to it, the one before.
        index_bytes: of the index record and the end record.
        file_bytes: of the whole file.
        seconds: until the frame was there, the model's loading included.
    """

    time: float
    bytes_read: int
    gop_bytes: int
    index_bytes: int
    file_bytes: int
    seconds: float


class CountingFile:
    """A file that counts the bytes read from it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.bytes_read = 0
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int) -> bytes:
        """Up to `size` bytes."""
        data = self._file.read(size)
        self.bytes_read += len(data)
        return data


class MemoryLog:
    """Samples the resident size of this process beside its work."""

    def __init__(self, stage: str, every: float) -> None:
        self.stage, self.every = stage, every
        self.frames = 0
        self.samples: list[Sample] = []
        self._stop = Event()
        self._begin = time.monotonic()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryLog:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        highest, due, stopped = 0.0, self.every, False
        while not stopped:
            stopped = self._stop.wait(1 / SAMPLES_A_SECOND)
            highest = max(highest, resident_mib())
            seconds = time.monotonic() - self._begin
            if seconds >= due or stopped:
                row = Sample(self.stage, round(seconds, 3), self.frames, round(highest, 1))
                self.samples.append(row)
                highest, due = 0.0, seconds + self.every


def resident_mib() -> float:
    """Resident size of this process, from Linux's /proc."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise OSError("no VmRSS in /proc/self/status")


def quarters(samples: list[Sample], file_bytes: int) -> Quarters:
    """The largest size in each quarter of a stage."""
    last = samples[-1]
    peaks = [0.0] * 4
    for sample in samples:
        quarter = min(int(4 * sample.seconds / max(last.seconds, 1e-3)), 3)
        peaks[quarter] = max(peaks[quarter], sample.rss_mib)
    rise = 100 * (peaks[3] / peaks[1] - 1) if peaks[1] else 0.0
    return Quarters(last.stage, last.frames, file_bytes, last.seconds, *peaks, round(rise, 2))


def looped(video: Path | None) -> Iterator[Frame420]:
    """Frames without end: drawn shots, or the first frames of a video, its middle cut out."""
    if video is None:
        shots = [moving_layers(SHOT_FRAMES, HEIGHT, WIDTH, seed) for seed in range(SHOTS)]
        frames = [rgb_to_420(rgb) for shot in shots for rgb in shot]
    else:
        with open_video(video) as source:
            top, left = (source.info.height - HEIGHT) // 4, (source.info.width - WIDTH) // 4
            frames = [cut(frame, top, left) for frame in islice(source, SHOTS * SHOT_FRAMES)]
    while True:
        yield from frames


def cut(frame: Frame420, top: int, left: int) -> Frame420:
    """A picture of the benchmark's size out of a larger one; offsets in chroma samples."""
    y = frame.y[2 * top : 2 * top + HEIGHT, 2 * left : 2 * left + WIDTH]
    rows, columns = slice(top, top + HEIGHT // 2), slice(left, left + WIDTH // 2)
    return Frame420(y, frame.u[rows, columns], frame.v[rows, columns])


def encode(path: Path, log: MemoryLog, args: argparse.Namespace) -> None:
    """Encode until the time or the frames are spent."""
    deadline = time.monotonic() + args.encode_seconds

    def frames() -> Iterator[Frame420]:
        numbered = zip(count(), looped(args.video))
        for number, frame in numbered:
            enough = number == args.frames if args.frames else time.monotonic() > deadline
            if enough:
                return
            yield frame

    def progress(state: Progress) -> None:
        log.frames = state.frames

    options = EncodeOptions(args.quality, threads=1, device="cpu", preset="fast")
    with path.open("wb") as sink:
        encode_video(frames(), VideoInfo(WIDTH, HEIGHT, Fraction(FPS)), sink, options, progress)


def decode(path: Path, log: MemoryLog, args: argparse.Namespace) -> None:
    """Decode every frame of a file."""
    with path.open("rb") as source:
        for _ in Decoder(source, threads=1, device="cpu"):
            log.frames += 1


def splice(path: Path, log: MemoryLog, args: argparse.Namespace) -> None:
    """Write the GOPs of the encoded file again and again."""
    with (args.out / "encoded.dsz").open("rb") as source:
        reader = StreamReader(source)
        header, gops = reader.header, list(islice(reader, 512))
    with path.open("wb") as sink:
        writer = StreamWriter(sink, header)
        wanted = round(args.hours * 3600 * FPS)
        while log.frames < wanted:
            for gop in gops:
                if log.frames + gop.num_frames > wanted and log.frames:
                    writer.finish()
                    return
                writer.write_gop(gop)
                log.frames += gop.num_frames
        writer.finish()


def check(path: Path, log: MemoryLog, args: argparse.Namespace) -> None:
    """Read every record of a file."""
    with path.open("rb") as source:
        log.frames = scan(source).num_frames


def seek_all(path: Path) -> list[Seek]:
    """Decode one frame at each of ten times."""
    records: list[RecordInfo] = []
    starts, references = [], []
    with path.open("rb") as source:
        reader = StreamReader(source, records.append)
        for gop in reader:
            starts.append(reader.next_frame - gop.num_frames)
            references.append(gop.refs_previous)
    sizes = [0] * len(starts)
    index_bytes = 0
    for record in records:
        if record.gop is not None:
            sizes[record.gop] += record.size
        elif record.kind is not RecordType.HEADER:
            index_bytes += record.size
    rows = []
    for part in range(10):
        frame = reader.next_frame * (2 * part + 1) // 20
        found = max(i for i, start in enumerate(starts) if start <= frame)
        first = found
        while references[first]:
            first -= 1
        gop_bytes = sum(sizes[first : found + 1])
        begin = time.monotonic()
        with path.open("rb") as file:
            counted: Any = CountingFile(file)
            at = Fraction(frame, FPS)
            decoder = Decoder(counted, threads=1, device="cpu", start=at, num_frames=1)
            assert len(list(decoder)) == 1
        seconds = round(time.monotonic() - begin, 2)
        size = path.stat().st_size
        rows.append(Seek(float(at), counted.bytes_read, gop_bytes, index_bytes, size, seconds))
    return rows


Stage = Callable[[Path, MemoryLog, argparse.Namespace], None]


def run(stage: str, work: Stage, path: Path, args: argparse.Namespace) -> list[Sample]:
    """One stage, in this process."""
    with MemoryLog(stage, args.every) as log:
        work(path, log, args)
    return log.samples


def write(path: Path, rows: list[Any]) -> None:
    """Rows to a CSV file."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def main() -> None:
    """Run the stages, each in a process of its own, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--video", type=Path, help="loop this, of 320x180 or more, not drawn shots")
    parser.add_argument("--encode-seconds", type=float, default=600, metavar="S")
    parser.add_argument("--frames", type=int, help="encode so many, however long it takes")
    parser.add_argument("--hours", type=float, default=2.0, help="length of the spliced file")
    parser.add_argument("--quality", type=int, default=20)
    parser.add_argument("--every", type=float, default=5.0, metavar="S")
    parser.add_argument("--without", nargs="*", default=[], help="stages whose files are in OUT")
    parser.add_argument("--decode-all", action="store_true", help="decode the spliced file, too")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    encoded, spliced = args.out / "encoded.dsz", args.out / "spliced.dsz"
    every: list[tuple[str, Stage, Path]] = [
        ("encode", encode, encoded),
        ("decode", decode, encoded),
        ("splice", splice, spliced),
        ("scan", check, spliced),
    ]
    if args.decode_all:
        every.append(("decode spliced", decode, spliced))
    stages = [stage for stage in every if stage[0] not in args.without]
    samples: list[Sample] = []
    peaks: list[Quarters] = []
    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        for stage, work, path in stages:
            found = pool.submit(run, stage, work, path, args).result()
            samples += found
            peaks.append(quarters(found, path.stat().st_size))
            print(peaks[-1], flush=True)
            write(args.out / "memory.csv", samples)
            write(args.out / "quarters.csv", peaks)
        rows = pool.submit(seek_all, spliced).result()
    for row in rows:
        print(row)
    write(args.out / "seeks.csv", rows)


if __name__ == "__main__":
    main()
