"""The verb ``sim``: what the simulator's tracks look like, from above and from the car."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from autcar.arguments import natural, share


def add_verbs(verbs: Any) -> None:
    """Add ``sim``."""
    parser = verbs.add_parser(
        "sim",
        help="look at the simulator: a track from above, and what the car sees",
        description="Look at the simulator: a track from above, and what the car sees.",
        epilog="examples:\n  autcar sim map --seed 7 --output track.png\n"
        "  autcar sim frames --seed 7 --difficulty 1 --output frames.png",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["map", "frames"], help="the track, or a sheet of frames")
    parser.add_argument("--seed", type=natural, default=1, help="which track (1)")
    parser.add_argument("--difficulty", type=share, default=0.0, help="0 easy … 1 hard (0)")
    parser.add_argument("--output", metavar="PNG", help="where to (default: sim_map.png …)")
    parser.set_defaults(run=_sim)


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
