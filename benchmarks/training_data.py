"""What training data costs: time and memory by the number of frames.

Run from the repository: ``python benchmarks/training_data.py [--frames 5000 20000 200000]
[--index 1000000]``. The sets are generated: sessions of 10,000 frames, whose images are
links to a few hundred JPEGs. Measured are

- ``index``: reading the sessions, splitting by time and balancing, images untouched;
- ``train``: peak memory of ``autcar train`` for one epoch, as the set grows;
- ``rate``: training from memory, from a file that the system has forgotten, and with
  augmentation, beside the bare training step on a batch that is at hand;
- ``balance``: ``Trainer().create_balanced_dataset`` on 20,000 frames beside AutCar's own
  method, which copies each image, then goes over the recording again and again and copies
  images of the rarer classes once more until all are as common as the commonest, each
  copy going to the training or the test map by chance. It leaves out ``stop``; so does
  this copy of it, while ours takes it.

Prints a table each, what was promised, and a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import numpy as np

from autcar.commands import CLASSES, LABELS, Command
from autcar.images import encode_jpeg
from autcar.recording.session import read_session

PER_SESSION = 10_000
PICTURES = 200
COMMON = "move_medium_forward"
ROUNDS = 5
STEPS = 12


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, nargs="+", default=[5000, 20_000, 200_000])
    parser.add_argument("--index", type=int, default=1_000_000, help="frames to index (1000000)")
    parser.add_argument("--only", choices=("index", "train", "rate", "balance"), nargs="+")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, *words = arguments.child
        print(json.dumps({"index": child_index, "rate": child_rate}[name](*words)))
        return 0
    parts = {
        "index": lambda folder: index(folder, arguments.index),
        "train": lambda folder: train(folder, arguments.frames),
        "rate": rate,
        "balance": balance,
    }
    found: dict[str, Any] = {}
    promises: list[tuple[str, bool]] = []
    for name in arguments.only or parts:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
            found[name], kept = parts[name](Path(scratch))
            promises += kept
    for text, kept in promises:
        print(f"{'kept  ' if kept else 'BROKEN'}  {text}")
    print(json.dumps(found))
    return 0 if all(kept for _, kept in promises) else 1


# Sets


def make_set(folder: Path, frames: int, width: int, height: int) -> Path:
    """Sessions of 10,000 frames at 20 Hz below ``folder``; they share one folder of images."""
    images = folder / "images"
    images.mkdir(parents=True)
    for number in range(PICTURES):
        (images / f"{number:08d}.jpg").write_bytes(encode_jpeg(picture(number, width, height)))
    for number in range(PICTURES, min(frames, PER_SESSION)):
        os.link(images / f"{number % PICTURES:08d}.jpg", images / f"{number:08d}.jpg")
    rng = random.Random(0)
    for first in range(0, frames, PER_SESSION):
        session = folder / "sessions" / f"{first // PER_SESSION:04d}"
        session.mkdir(parents=True)
        (session / "images").symlink_to(images)
        count = min(PER_SESSION, frames - first)
        command = Command.from_label(COMMON)
        rows = []
        for number in range(count):
            if number % 20 == 0:
                # As people drive: half of the time straight on.
                command = Command.from_label(COMMON) if rng.random() < 0.5 else rng.choice(CLASSES)
            rows.append(
                f"images/{number:08d}.jpg;{command.to_json()};{number * 50_000_000};{number};"
                "human\n"
            )
        (session / "training.csv").write_text("".join(rows), encoding="utf-8")
    return folder / "sessions"


def picture(number: int, width: int, height: int) -> np.ndarray:
    """Blocks of colours, which compress as a road does: 8 kB at 224×168."""
    rng = np.random.default_rng(number)
    blocks = rng.integers(0, 256, (-(-height // 12), -(-width // 12), 3), dtype=np.uint8)
    return blocks.repeat(12, axis=0).repeat(12, axis=1)[:height, :width].copy()


# Index


def index(folder: Path, frames: int) -> tuple[dict[str, Any], list[tuple[str, bool]]]:
    found = child("index", str(make_set(folder, frames, 32, 24)))
    print(f"{frames:,} frames  {'s':>8}{'CPU s':>8}")
    for name in ("read", "split", "balance"):
        print(f"  {name:<12}{found[name]:>10.1f}{found[f'{name}_cpu']:>8.1f}")
    print(f"  peak memory {found['peak_mb']:,.0f} MB\n")
    total = found["read"] + found["split"] + found["balance"]
    return found, [
        (f"{frames:,} frames read, split and balanced within 60 s", total <= 60),
        (f"{frames:,} frames read, split and balanced in 1.5 GB", found["peak_mb"] <= 1500),
    ]


def child_index(sessions: str) -> dict[str, Any]:
    from trainer.data.balance import balance_indices
    from trainer.data.dataset import load_dataset
    from trainer.data.split import make_split

    found: dict[str, Any] = {}
    last = time.perf_counter(), time.process_time()

    def lap(name: str) -> None:
        nonlocal last
        now = time.perf_counter(), time.process_time()
        found[name], found[f"{name}_cpu"] = now[0] - last[0], now[1] - last[1]
        last = now

    dataset = load_dataset(sessions)
    lap("read")
    split = make_split(dataset)
    lap("split")
    shown = balance_indices(dataset.labels, split.train)
    lap("balance")
    return {
        "frames": len(dataset),
        **found,
        "shown": len(shown),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


# Training


def train(folder: Path, sizes: list[int]) -> tuple[dict[str, Any], list[tuple[str, bool]]]:
    print(f"{'autcar train, 96×72':<22}{'peak MB':>9}{'CPU s':>8}")
    peaks: dict[int, float] = {}
    for frames in sizes:
        sessions = make_set(folder / str(frames), frames, 96, 72)
        command = [sys.executable, "-m", "autcar", "train", str(sessions), "--epochs", "1"]
        bundle = folder / f"model{frames}"
        # The commands here are drawn by chance: nothing that is learnt would pass the proof.
        command += ["--size", "96x72", "--variants", "float32", "--force"]
        command += ["--output", str(bundle), "--run-dir", f"{folder}/runs"]
        log = open(folder / "log", "w+", encoding="utf-8")  # noqa: SIM115 - read below
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        running = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        _, _, used = os.wait4(running.pid, 0)
        if not bundle.is_dir():
            log.seek(0)
            raise SystemExit(f"autcar train failed: {log.read()[-1500:]}")
        peaks[frames] = used.ru_maxrss / 1024
        cpu = used.ru_utime + used.ru_stime
        print(f"{frames:>14,} frames{peaks[frames]:>10,.0f}{cpu:>8.0f}", flush=True)
        shutil.rmtree(folder / str(frames))
    print()
    least = peaks[sizes[0]]
    allowed = {size: 1.1 if size <= 20_000 else 1.2 for size in sizes[1:]}
    return {"peak_mb": peaks}, [
        (f"training on {size:,} frames peaks at most {share:g} × {sizes[0]:,}'s", True)
        if peaks[size] <= share * least
        else (f"training on {size:,} frames: {peaks[size] / least:.2f} × {sizes[0]:,}'s", False)
        for size, share in allowed.items()
    ]


def rate(folder: Path) -> tuple[dict[str, Any], list[tuple[str, bool]]]:
    found = child("rate", str(make_set(folder, 5000, 224, 168)), str(folder))
    print(f"{'training, 224×168':<22}{'images/s':>10}{'CPU ms an image':>17}")
    for name, row in found.items():
        print(f"{name:<22}{row['images_per_s']:>10,.0f}{row['cpu_ms']:>17.3f}")
    print()
    disk = found["file"]["images_per_s"] / found["memory"]["images_per_s"]
    augmented = found["bare step"]["cpu_ms"] / found["augmented"]["cpu_ms"]
    return found, [
        (f"from a file {disk:.0%} of the rate from memory (at least 90 %)", disk >= 0.9),
        (
            f"augmented {augmented:.0%} of the bare step's rate per CPU second (at least 90 %)",
            augmented >= 0.9,
        ),
    ]


def child_rate(sessions: str, folder: str) -> dict[str, Any]:
    from trainer.data.augmentation import parse_augmentation
    from trainer.data.batches import Batches
    from trainer.data.cache import ImageCache
    from trainer.data.dataset import load_dataset
    from trainer.quiet import import_tensorflow

    import_tensorflow()
    import keras

    from trainer.networks import build_network

    dataset = load_dataset(sessions)
    size = {"height": 168, "width": 224}
    memory = ImageCache(dataset, **size, budget=1 << 40)
    file = ImageCache(dataset, **size, budget=0, folder=folder)
    store: Any = file._images
    model = build_network("compact", 168, 224, len(LABELS))
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    rows = np.arange(len(dataset))
    kinds = {
        "memory": Batches(memory, dataset.labels, rows),
        "file": Batches(file, dataset.labels, rows),
        "augmented": Batches(memory, dataset.labels, rows, augment=parse_augmentation("default")),
    }
    batch = next(kinds["memory"].epoch(0))
    model.train_on_batch(*batch)
    laps: dict[str, list[tuple[float, float]]] = {name: [] for name in ("bare step", *kinds)}
    # Taken in turn, so that whatever else the machine does falls on all alike.
    for number in range(ROUNDS):
        for name, done in laps.items():
            os.fsync(store._file.fileno())
            os.posix_fadvise(store._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            batches = kinds[name].epoch(number) if name in kinds else iter([batch] * STEPS)
            started = time.perf_counter(), time.process_time()
            for _ in range(STEPS):
                model.train_on_batch(*next(batches))
            del batches
            ended = time.perf_counter(), time.process_time()
            done.append((ended[0] - started[0], ended[1] - started[1]))
    images = STEPS * len(batch[0])
    return {
        name: {
            "images_per_s": images / statistics.median(wall for wall, _ in done),
            "cpu_ms": statistics.median(cpu for _, cpu in done) / images * 1000,
        }
        for name, done in laps.items()
    }


def child(name: str, *words: str) -> dict[str, Any]:
    """Measure in a process of its own: its peak memory is nobody else's."""
    command = [sys.executable, str(Path(__file__)), "--child", name, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed: {done.stderr[-1500:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# Balanced folders


def balance(folder: Path) -> tuple[dict[str, Any], list[tuple[str, bool]]]:
    from trainer.data.balanced_folder import create_balanced_folder

    sessions = make_set(folder / "set", 20_000, 224, 168)
    recordings = sorted(sessions.iterdir())
    started = time.perf_counter(), time.process_time()
    copies = balance_by_copying(recordings, folder / "theirs")
    between = time.perf_counter(), time.process_time()
    create_balanced_folder(recordings, folder / "ours")
    ended = time.perf_counter(), time.process_time()
    theirs_s, theirs_cpu = (b - a for a, b in zip(started, between, strict=True))
    ours_s, ours_cpu = (b - a for a, b in zip(between, ended, strict=True))
    speedup = theirs_s / ours_s
    theirs_mb = used_mb(folder / "theirs")
    images, nearest_s = inspect(folder / "ours", sessions)
    print(f"{'20,000 frames':<20}{'s':>8}{'CPU s':>8}{'images':>10}{'MB added':>10}")
    print(f"{'autcar, by links':<20}{ours_s:>8.2f}{ours_cpu:>8.2f}{images:>10,}{0:>10,.0f}")
    print(f"{'AutCar, by copies':<20}{theirs_s:>8.2f}{theirs_cpu:>8.2f}{copies:>10,}", end="")
    print(f"{theirs_mb:>10,.0f}\n")
    found = {
        "ours_s": ours_s,
        "theirs_s": theirs_s,
        "ours_cpu_s": ours_cpu,
        "theirs_cpu_s": theirs_cpu,
        "speedup": speedup,
        "theirs_mb": theirs_mb,
        "nearest_s": nearest_s,
    }
    return found, [
        (f"balanced folder {speedup:.0f} × as fast as by copying (at least 20 ×)", speedup >= 20),
        ("no byte of an image is there twice", images > 0),
        (f"test frames {nearest_s:.2f} s or more from training (more than 1 s)", nearest_s > 1),
    ]


def balance_by_copying(recordings: list[Path], output: Path) -> int:
    """AutCar's way. Returns how many images it wrote."""
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    chance = random.Random(0)
    samples = [
        (record.image, record.command.label)
        for folder in recordings
        for record in read_session(folder).records
        if record.command.label != "stop"
    ]
    most = max(Counter(label for _, label in samples).values())
    counts: Counter[str] = Counter()
    copies = 0
    with (
        open(output / "train_map.txt", "w") as training,
        open(output / "test_map.txt", "w") as test,
    ):

        def copy(image: Path, label: str) -> None:
            nonlocal copies
            target = output / f"image_{copies}.png"
            shutil.copy(image, target)
            (training if chance.random() < 0.8 else test).write(f"{target}\t{label}\n")
            counts[label] += 1
            copies += 1

        for image, label in samples:
            copy(image, label)
        while min(counts.values()) < most:
            for image, label in samples:
                if counts[label] < most:
                    copy(image, label)
    return copies


def inspect(folder: Path, sessions: Path) -> tuple[int, float]:
    """How many images there are, 0 where one is no link, and the least time in seconds
    between a test and a training frame.
    """
    from trainer.data.balanced_folder import load_balanced_folder

    originals = {
        (images / f"{number:08d}.jpg").stat().st_ino
        for images in [sessions / "0000" / "images"]
        for number in range(PICTURES)
    }
    files = list(folder.glob("image_*"))
    if not all(file.stat().st_ino in originals for file in files):
        return 0, 0.0
    balanced = load_balanced_folder(folder)
    names = balanced.dataset.group_names
    times: dict[tuple[str, bool], list[int]] = {}
    for rows, test in ((balanced.train, False), (balanced.test, True)):
        for row in rows.tolist():
            run = names[balanced.dataset.groups[row]]
            times.setdefault((run, test), []).append(int(balanced.dataset.times_ns[row]))
    nearest = float("inf")
    for (run, test), tested in times.items():
        trained = np.sort(times.get((run, False), []))
        if not test or not len(trained):
            continue
        at = np.searchsorted(trained, tested)
        for neighbour in (np.minimum(at, len(trained) - 1), np.maximum(at - 1, 0)):
            nearest = min(nearest, float(np.abs(trained[neighbour] - tested).min()) / 1e9)
    return len(files), nearest


def used_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.iterdir()) / 1e6


if __name__ == "__main__":
    sys.exit(main())
