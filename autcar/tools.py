"""The small verbs: ``config`` and ``sim``."""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path
from typing import Any


def add_verbs(verbs: Any) -> None:
    """Add ``config`` and ``sim``."""
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


def machine() -> str:
    """What this machine is, in a few words."""
    return f"{platform.machine()} {platform.system()}, Python {platform.python_version()}"
