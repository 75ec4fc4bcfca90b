"""The verb ``autcar record``."""

from __future__ import annotations

import argparse
from typing import Any

_EXAMPLES = """\
examples:
  autcar record --pilot expert                       2,000 frames of the simulated car
  autcar record --pilot expert --frames 500 --seed 7 a short recording on another track
"""


def add_verbs(verbs: Any) -> None:
    """Add ``record``."""
    parser = verbs.add_parser(
        "record",
        help="drive and record frames labelled with the command in force",
        description="Record frames labelled with the command in force.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", metavar="FILE", help="car.toml (default: ./car.toml if there)")
    parser.add_argument(
        "--pilot",
        choices=["expert"],
        required=True,
        help="who drives: the simulator's expert, on a simulated car",
    )
    parser.add_argument("--frames", type=int, default=2000, help="how many frames (2000)")
    parser.add_argument("--seed", type=int, help="the simulated track; overrides [simulator] seed")
    parser.add_argument("--output", metavar="FOLDER", help="overrides [record] folder")
    parser.set_defaults(run=_record)


def _record(arguments: argparse.Namespace) -> int:
    from autcar.config import load_config
    from autcar.progress import terminal_progress
    from capture.simulated import record_expert

    config = load_config(arguments.config)
    seed = config.simulator.seed if arguments.seed is None else arguments.seed
    folder = arguments.output or config.record.folder
    writer = record_expert(config, folder, seed, arguments.frames, terminal_progress())
    print(f"{writer.frames} frames in {writer.folder}")
    for label, count in sorted(writer.counts.items()):
        print(f"  {label:<24}{count:>6}")
    print(f"next: autcar train {folder}")
    return 0
