"""Training: images per CPU-second and memory, beside the bare step and Donkeycar.

Run from the repository: ``python benchmarks/training.py [--frames 4000] [--memory 5000 20000]``.
Both train Donkeycar's default network at 160×120 with batches of 128 on the same simulated
frames, ours with augmentation on, Donkeycar as it comes (off). The bare step, the same
network's on arrays in memory, is the limit. Each epoch's rate is counted but the first.
Prints a table, what was promised, and a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from peers.environments import donkey_training_python

OF_BARE = 0.9
GROWTH = 1.1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--frames", type=int, default=4000, help="to train and validate on (4000)")
    add("--epochs", type=int, default=4, help="each; the first does not count (4)")
    add("--bare-steps", type=int, default=15, help="after each epoch (15)")
    add("--memory", type=int, nargs="*", default=[5000, 20000], help="frames (5000 20000)")
    add("--no-peers", action="store_true", help="only ours")
    arguments = parser.parse_args()
    steps = str(arguments.bare_steps)
    rows: dict[str, dict[str, Any]] = {}
    memory: dict[str, dict[int, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        tub = make_tub(Path(folder), arguments.frames)
        rows["autcar"] = summary(ours(tub, arguments.epochs, steps))
        if not arguments.no_peers:
            rows["Donkeycar"] = summary(theirs(tub, arguments.epochs))
        for frames in arguments.memory:
            tub = make_tub(Path(folder), frames)
            memory.setdefault("autcar", {})[frames] = ours(tub, 1, "0")["peak_rss_mb"]
            if not arguments.no_peers:
                memory.setdefault("Donkeycar", {})[frames] = theirs(tub, 1)["peak_rss_mb"]
    print(f"{'':<14}{'images/CPU s':>14}{'± MAD':>8}{'bare step':>11}", end="")
    print("".join(f"{f'MB, {frames:,}':>12}" for frames in arguments.memory))
    for name, row in rows.items():
        bare = f"{row['bare']:>11.0f}" if row["bare"] else f"{'–':>11}"
        print(f"{name:<14}{row['rate']:>14.0f}{row['mad']:>8.0f}{bare}", end="")
        print("".join(f"{peak:>12,.0f}" for peak in memory.get(name, {}).values()))
    promises = promised(rows, memory)
    for text, kept in promises:
        print(f"{'kept  ' if kept else 'BROKEN'}  {text}")
    print(json.dumps({"frames": arguments.frames, "rates": rows, "peak_rss_mb": memory}))
    return 0 if all(kept for _, kept in promises) else 1


def promised(
    rows: dict[str, dict[str, Any]], memory: dict[str, dict[int, float]]
) -> list[tuple[str, bool]]:
    mine = rows["autcar"]
    share = mine["rate"] / mine["bare"]
    promises = [(f"{share:.0%} of the bare step's rate ≥ {OF_BARE:.0%}", share >= OF_BARE)]
    if peer := rows.get("Donkeycar"):
        times = mine["rate"] / peer["rate"]
        promises.append((f"{times:.2f} × Donkeycar's rate ≥ 1 ×", times >= 1))
    if peaks := list(memory.get("autcar", {}).values()):
        growth = peaks[-1] / peaks[0]
        promises.append((f"memory grows to {growth:.2f} × ≤ {GROWTH:g} ×", growth <= GROWTH))
    return promises


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """Medians over the epochs but the first, in which either side compiles and decodes."""
    rates = found["images_per_cpu_s"][1:]
    bare = found.get("bare_images_per_cpu_s")
    middle = statistics.median(rates)
    return {
        "rates": rates,
        "bare_rates": bare,
        "rate": middle,
        "mad": statistics.median(abs(rate - middle) for rate in rates),
        "bare": statistics.median(bare) if bare else None,
        "images_per_s": statistics.median(found["images_per_s"][1:]),
    }


def make_tub(folder: Path, frames: int) -> Path:
    """A Donkeycar tub of so many simulated frames of 160×120."""
    from autcar.config import CameraSection, Config
    from autcar.progress import Progress
    from autcar.recording.conversion import export_recordings
    from capture.simulated import record_expert

    recordings, tub = folder / f"recordings_{frames}", folder / f"tub_{frames}"
    config = Config(camera=CameraSection(width=160, height=120))
    writer = record_expert(config, recordings, 1, frames, Progress())
    export_recordings([writer.folder], tub, "tub")
    return tub


def ours(tub: Path, epochs: int, bare_steps: str) -> dict[str, Any]:
    return child([sys.executable, "autcar_training.py", str(tub), str(epochs), bare_steps])


def theirs(tub: Path, epochs: int) -> dict[str, Any]:
    return child([donkey_training_python(), "donkey_training.py", str(tub), str(epochs)])


def child(command: list[str]) -> dict[str, Any]:
    command[1] = str(HERE / "peers" / command[1])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[1]} failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
