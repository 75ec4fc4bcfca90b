"""Recording at 224×168, beside Donkeycar's tub writer in the same run.

Run from the repository: ``python benchmarks/recording.py [--frames 5000] [--rounds 3]``. Ours
goes the daemon's way: encode, label, queue, write, sync; Donkeycar's ``TubWriter.run`` encodes
and writes the same frames. Donkeycar 5.3.0 is installed once, in the user's cache folder.
Prints a table of medians, what was promised, and a line of JSON.

What is written is deleted after the last round: ext4 looks at each file deleted in the last
minutes when it makes a new one, which doubles the CPU of both. After anything else that
deletes thousands of files, wait five minutes.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import itertools

import numpy as np
from peers.environments import donkey_python

from autcar.cockpit.feed import Shot
from autcar.commands import CLASSES
from autcar.config import RecordSection
from autcar.images import encode_jpeg
from autcar.recording.session import read_session
from capture.recorder import Recorder

CPU_S_PER_1000 = 0.25


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=5000, help="in one session (5000)")
    parser.add_argument("--rounds", type=int, default=3, help="in turn, the median counts (3)")
    parser.add_argument("--donkey", metavar="PYTHON", help="a Python that has donkeycar")
    parser.add_argument("--no-donkey", action="store_true", help="only ours")
    arguments = parser.parse_args()
    rounds: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        frames = make_frames()
        np.save(f"{scratch}/frames.npy", frames)
        for number in range(arguments.rounds):
            ours = record(frames, Path(scratch) / f"ours{number}", arguments.frames)
            rounds.setdefault("autcar", []).append(ours)
            if not arguments.no_donkey:
                theirs = donkey(arguments, f"{scratch}/frames.npy", f"{scratch}/tub{number}")
                rounds.setdefault("Donkeycar", []).append(theirs)
    rows = {
        name: {key: [row[key] for row in found] for key in found[0]}
        for name, found in rounds.items()
    }
    medians = {
        name: {key: statistics.median(values) for key, values in row.items()}
        for name, row in rows.items()
    }
    print(f"{'':<12}{'frames/s':>10}{'CPU s/1,000':>13}{'first 1,000':>13}{'last 1,000':>12}")
    for name, row in medians.items():
        print(
            f"{name:<12}{row['frames_per_s']:>10,.0f}{row['cpu_s_per_1000']:>13.3f}"
            f"{row['first_block_s']:>11.2f} s{row['last_block_s']:>10.2f} s"
        )
    ours = medians["autcar"]
    promises = [
        (
            f"at most {CPU_S_PER_1000} CPU s for 1,000 frames",
            ours["cpu_s_per_1000"] <= CPU_S_PER_1000,
        ),
        ("no frame dropped", not any(rows["autcar"]["dropped"])),
        (
            "no slower as the session grows (CPU of the last 1,000 within half of the first)",
            ours["last_block_cpu_s"] <= 1.5 * ours["first_block_cpu_s"] + 0.02,
        ),
    ]
    for text, kept in promises:
        print(f"{'kept  ' if kept else 'BROKEN'}  {text}")
    print(json.dumps({"frames": arguments.frames, **rows}))
    return 0 if all(kept for _, kept in promises) else 1


def make_frames(count: int = 200) -> np.ndarray:
    """Frames of the simulated car in lock-step, ``uint8`` count×168×224×3 RGB."""
    from autcar.config import Config
    from autcar.vehicle import open_vehicle

    with open_vehicle(Config(), realtime=False) as vehicle:
        return np.stack([vehicle.camera.read().image for _ in range(count)])


def record(frames: np.ndarray, folder: Path, count: int) -> dict[str, Any]:
    """Write ``count`` frames flat out, as fast as the queue takes them."""
    settings = RecordSection(free_mb=0, queue=100)
    blocks = []
    with Recorder(folder, size=(224, 168), fps=20, settings=settings) as recorder:
        recorder.record()
        cpu, started = cpu_s(), time.perf_counter()
        for number in range(count):
            if number % 1000 == 0:
                blocks.append((time.perf_counter(), cpu_s()))
            # No faster than the queue: a camera would be slower still.
            if number % 50 == 0:
                recorder.settle()
            jpeg = encode_jpeg(frames[number % len(frames)])
            command = CLASSES[number // 20 % 12]
            recorder.offer(Shot(jpeg, number, number * 50_000_000, command, "human"))
        recorder.settle()
        blocks.append((time.perf_counter(), cpu_s()))
        wall_s, cpu = time.perf_counter() - started, cpu_s() - cpu
        dropped = sum(recorder.status().dropped.values())
        written = recorder.open_session
    assert written is not None
    assert len(read_session(written).records) == count - dropped
    steps = [
        (after[0] - before[0], after[1] - before[1])
        for before, after in itertools.pairwise(blocks)
    ]
    last = steps[-1 if count % 1000 == 0 else -2]
    return {
        "frames_per_s": count / wall_s,
        "cpu_s_per_1000": cpu / count * 1000,
        "first_block_s": steps[0][0],
        "last_block_s": last[0],
        "first_block_cpu_s": steps[0][1],
        "last_block_cpu_s": last[1],
        "dropped": dropped,
    }


def donkey(arguments: argparse.Namespace, frames: str, folder: str) -> dict[str, Any]:
    """The same by Donkeycar, in its own environment."""
    python = arguments.donkey or donkey_python()
    command = [python, str(HERE / "peers/donkey_tub.py"), frames, folder, str(arguments.frames)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"Donkeycar failed: {done.stderr[-1000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def cpu_s() -> float:
    """CPU seconds of this process, all threads, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
