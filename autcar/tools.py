"""The small verbs: ``config``, ``sim`` and ``bench``."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

from autcar.arguments import positive


def add_verbs(verbs: Any) -> None:
    """Add ``config``, ``sim`` and ``bench``."""
    config = _verb(
        verbs,
        "config",
        "print a commented car.toml",
        "examples:\n  autcar config > car.toml\n"
        "  autcar config --camera picamera2 --motors stepper > car.toml\n"
        "  autcar config --config car.toml   check and complete one",
    )
    config.add_argument("--config", metavar="FILE", help="complete this car.toml")
    config.add_argument("--camera", metavar="NAME", help="with this camera driver's settings")
    config.add_argument("--motors", metavar="NAME", help="with this motor driver's settings")
    config.set_defaults(run=_config)

    sim = _verb(
        verbs,
        "sim",
        "look at the simulator: a track from above, and what the car sees",
        "examples:\n  autcar sim map --seed 7 --output track.png\n"
        "  autcar sim frames --seed 7 --difficulty 1 --output frames.png",
    )
    sim.add_argument("what", choices=["map", "frames"], help="the track, or a sheet of frames")
    sim.add_argument("--seed", type=int, default=1, help="which track (1)")
    sim.add_argument("--difficulty", type=float, default=0.0, help="0 easy … 1 hard (0)")
    sim.add_argument("--output", metavar="PNG", help="where to (default: sim_map.png …)")
    sim.set_defaults(run=_sim)

    bench = _verb(
        verbs,
        "bench",
        "time a bundle's variants on this machine",
        "examples:\n  autcar bench\n  autcar bench --bundle models/mine --threads 2 --json",
    )
    bench.add_argument("--bundle", metavar="FOLDER", help="default: the one shipped with autcar")
    bench.add_argument("--threads", type=positive, default=1, help="interpreter threads (1)")
    bench.add_argument("--runs", type=positive, default=300, help="inferences to time (300)")
    bench.add_argument("--json", action="store_true", help="end with one line of JSON")
    bench.set_defaults(run=_bench)


def _verb(verbs: Any, name: str, text: str, examples: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def _config(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    from autcar.config import CameraSection, Config, MotorsSection, load_config, template

    config = load_config(arguments.config) if arguments.config else Config()
    if arguments.camera:
        config = replace(config, camera=CameraSection(arguments.camera))
    if arguments.motors:
        config = replace(config, motors=MotorsSection(arguments.motors))
    sys.stdout.write(template(config))
    return 0


def _sim(arguments: argparse.Namespace) -> int:
    from autcar.images import write_png
    from autcar.simulator.draw import frame_sheet, track_map
    from autcar.simulator.track import Track

    track = Track.generate(arguments.seed, arguments.difficulty)
    image = track_map(track, []) if arguments.what == "map" else frame_sheet(track)
    path = Path(arguments.output or f"sim_{arguments.what}.png")
    write_png(path, image)
    print(path)
    return 0


def _bench(arguments: argparse.Namespace) -> int:
    import statistics

    import numpy as np

    from autcar.bundle import load_bundle, shipped_bundle
    from autcar.interpreter import Interpreter

    bundle = load_bundle(arguments.bundle or shipped_bundle())
    shape = (bundle.manifest.height, bundle.manifest.width, 3)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    rows = []
    for variant in bundle.manifest.variants:
        interpreter = Interpreter(bundle.path(variant), arguments.threads)
        times = []
        for _ in range(arguments.runs + 20):
            began = time.perf_counter()
            interpreter.run(image)
            times.append((time.perf_counter() - began) * 1000)
        times = sorted(times[20:])
        rows.append(
            {
                "variant": variant.name,
                "median_ms": round(statistics.median(times), 3),
                "p95_ms": round(times[int(0.95 * len(times))], 3),
                "kB": round(variant.size / 1000, 1),
            }
        )
    print(f"{bundle.folder}, {interpreter.runtime}, {arguments.threads} thread(s), {machine()}")
    print(f"{'variant':<10}{'median ms':>10}{'p95 ms':>10}{'kB':>10}")
    for row in rows:
        print(f"{row['variant']:<10}{row['median_ms']:>10}{row['p95_ms']:>10}{row['kB']:>10}")
    if arguments.json:
        print(json.dumps({"runtime": interpreter.runtime, "machine": machine(), "variants": rows}))
    return 0


def machine() -> str:
    """What this machine is, in a few words."""
    return f"{platform.machine()} {platform.system()}, Python {platform.python_version()}"
