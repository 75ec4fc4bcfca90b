"""Minutes of simulated driving in real time: does anything grow, and how old do frames get?

Run from the repository: ``python benchmarks/endurance.py [--minutes 30] [--bundle FOLDER]``.
The whole process picture drives, with the drive log and its frames on; memory,
descriptors and threads of pilot and guardian are read once a second. Prints a table and a
line of JSON. Where a starved machine stops the car, it is armed again, and counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from autcar.machine import describe_machine

WARM_UP = 0.25
"""The share of the run that caches and pools may take to fill."""

GROWTH_MB = 2.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (1)")
    parser.add_argument("--bundle", metavar="FOLDER", help="default: the one shipped")
    parser.add_argument("--fps", type=float, default=30.0, help="of the camera (30)")
    arguments = parser.parse_args()

    from dataclasses import replace

    from autcar.bundle import load_bundle, shipped_bundle
    from autcar.config import Config
    from autcar.safety import Gate, Reason
    from autcar.vehicle import open_vehicle
    from edge.drive_log import DriveLog
    from edge.histogram import Histogram
    from edge.loop import Loop
    from edge.pilots import BundlePilot

    config = Config()
    config = replace(config, camera=replace(config.camera, fps=arguments.fps))
    age_ms, stops, frames, first, last = Histogram(), Counter[str](), 0, -1, -1
    samples: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder, open_vehicle(config) as vehicle:
        assert vehicle.world is not None
        pilot = BundlePilot(load_bundle(arguments.bundle or shipped_bundle()))
        guardian: int = vehicle.wheels.pid  # type: ignore[attr-defined]
        loop = Loop(vehicle.camera, pilot, vehicle.wheels, Gate(config.safety), vehicle.clock)
        log = DriveLog(folder, {}, camera=vehicle.camera, largest_mb=1.0)
        loop.arm()
        began = sampled = time.monotonic()
        ticks = loop.ticks()
        for tick in ticks:
            log.note(tick)
            if tick.frame is not None:
                frames += 1
                first = tick.sequence if first < 0 else first
                last = tick.sequence
                age_ms.add(tick.age_ns / 1e6)
            if tick.verdict.reason not in (None, Reason.DISARMED):
                stops[tick.verdict.reason.value] += 1
                loop.arm()
            now = time.monotonic()
            if now - sampled >= 1.0:
                sampled = now
                samples.append(look(guardian))
                shrink(log.folder)
            if now - began >= arguments.minutes * 60:
                break
        ticks.close()
        log.close()
        off = vehicle.world.off_track
    settled = samples[int(WARM_UP * len(samples)) :]
    growth = {name: grown(settled, name) for name in settled[0]}
    facts = {
        "machine": describe_machine(),
        "minutes": arguments.minutes,
        "frames": frames,
        "unused": last - first + 1 - frames,
        "stops": dict(stops),
        "off_track": off,
        "lost_by_log": log.lost,
        "age_ms": age_ms.facts(),
        "last": samples[-1],
        "growth": growth,
    }
    about = f"{arguments.minutes:g} minutes at {arguments.fps:g} frames/s, log on"
    print(f"{describe_machine()}; {about}")
    print(f"{frames:,} frames, {facts['unused']} unused, log lost {log.lost}, stops {dict(stops)}")
    found = age_ms.facts()
    print(
        f"age at the wheel, ms: median {found['median']}, p95 {found['p95']}, "
        f"p99.9 {found['p999']}, max {found['max']}"
    )
    print(f"{'':<28}{'at the end':>12}{'growth after warm-up':>24}")
    for name, value in samples[-1].items():
        print(f"{name:<28}{value:>12.1f}{growth[name]:>24.2f}")
    print(json.dumps(facts))
    steady = all(
        grew <= (GROWTH_MB if name.endswith("MB") else 0) for name, grew in growth.items()
    )
    return 0 if steady and not off else 1


def look(guardian: int) -> dict[str, float]:
    """Memory, descriptors and threads of both processes now."""
    found: dict[str, float] = {}
    for name, process in (("pilot", "self"), ("guardian", str(guardian))):
        place = Path("/proc") / process
        status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
        found[f"{name} RSS, MB"] = int(status["VmRSS"].split()[0]) / 1024
        found[f"{name} descriptors"] = sum(1 for _ in (place / "fd").iterdir())
        found[f"{name} threads"] = int(status["Threads"])
    return found


def grown(samples: list[dict[str, float]], name: str) -> float:
    """How much the median of the last third is above that of the first third."""
    third = max(1, len(samples) // 3)
    middle: Callable[[list[float]], float] = statistics.median
    values = [sample[name] for sample in samples]
    return round(middle(values[-third:]) - middle(values[:third]), 3)


def shrink(run: Path, keep: int = 300) -> None:
    """Delete the oldest pictures: 30 minutes of them need not fill the disk."""
    for image in sorted((run / "frames" / "images").iterdir())[:-keep]:
        image.unlink()


if __name__ == "__main__":
    sys.exit(main())
