"""The verbs ``autcar drive`` and ``autcar replay``."""

from __future__ import annotations

import argparse
import gc
import os
from typing import Any

from autcar.arguments import natural, refuse_unused, seconds

_EXAMPLES = """\
examples:
  autcar drive                              the shipped bundle, on the simulated car
  autcar drive --bundle models/mine         your own bundle
  autcar drive --seed 7 --seconds 30        another simulated track, for 30 s
  autcar drive --fast --map drive.png       faster than real time, with a map of the way driven
  autcar drive --fast --seconds 20 --film drive.webp   a film of it, beside what it sees
  autcar drive --pilot straight --fast      the baseline that any bundle must beat
  autcar drive --log drives --log-frames    keep every decision and frame; see autcar replay
  autcar drive --shadow models/new          a second bundle looks on, and is compared
  autcar drive --cockpit                    watch it in a browser; any drive key takes over

exit code: 0 when the car drove to the end, 1 when it stopped on a fault or left the track.
"""

_REPLAY_EXAMPLES = """\
examples:
  autcar replay drives/2026-05-01_14-30-00                        what happened, and a picture
  autcar replay drives/2026-05-01_14-30-00 --bundle models/new    what another bundle would do

--bundle needs a run whose frames were kept: autcar drive --log drives --log-frames
"""


def add_verbs(verbs: Any) -> None:
    """Add ``drive`` and ``replay``."""
    _add_drive(verbs)
    _add_replay(verbs)


def _add_drive(verbs: Any) -> None:
    parser = verbs.add_parser(
        "drive",
        help="let a bundle drive the car",
        description="Let a bundle (or another pilot) drive the car. Ctrl-C stops it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", metavar="FILE", help="car.toml (default: ./car.toml if there)")
    parser.add_argument("--bundle", metavar="FOLDER", help="default: the one shipped with autcar")
    parser.add_argument("--variant", help="which of the bundle's files (default: the fastest)")
    parser.add_argument(
        "--pilot",
        choices=["bundle", "expert", "straight"],
        default="bundle",
        help="who drives (bundle); expert and straight are for the simulator",
    )
    parser.add_argument("--seconds", type=seconds, help="stop after this long (default: Ctrl-C)")
    parser.add_argument("--seed", type=natural, help="simulated track; overrides [simulator] seed")
    parser.add_argument(
        "--fast", action="store_true", help="simulated car only: faster than real time, 60 s"
    )
    parser.add_argument("--map", metavar="PNG", help="simulated car only: draw the way driven")
    parser.add_argument(
        "--film", metavar="WEBP", help="simulated car only: film it, beside what it sees"
    )
    parser.add_argument(
        "--log", metavar="FOLDER", help="keep every decision in a new folder below this one"
    )
    parser.add_argument("--log-frames", action="store_true", help="with --log: the frames, too")
    parser.add_argument(
        "--shadow", metavar="BUNDLE", help="a second bundle that looks on and touches no wheel"
    )
    parser.add_argument(
        "--cockpit", action="store_true", help="serve the page: watch, take over, hand back"
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    service = parser.add_argument_group("as a systemd service; see `autcar service`")
    service.add_argument(
        "--service", action="store_true", help="stand disarmed until `autcar service arm`"
    )
    service.add_argument(
        "--arm", action="store_true", help="with --service: arm itself once after a boot"
    )
    parser.set_defaults(run=lambda arguments: _drive(parser, arguments))


def _add_replay(verbs: Any) -> None:
    parser = verbs.add_parser(
        "replay",
        help="look at a logged drive, or run another bundle over it",
        description="Show what happened in a run that `autcar drive --log` kept.",
        epilog=_REPLAY_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("drive", metavar="RUN", help="the run's folder")
    parser.add_argument("--bundle", metavar="FOLDER", help="run this bundle over the frames")
    parser.add_argument("--variant", help="which of the bundle's files (default: the fastest)")
    parser.add_argument("--picture", metavar="PNG", help="default: RUN/timeline.png")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=lambda arguments: _replay(parser, arguments))


def _drive(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    if arguments.pilot != "bundle":
        why = f"no bundle drives; leave out --pilot {arguments.pilot}"
        refuse_unused(parser, arguments, ("bundle", "variant"), why)
    if not arguments.service:
        refuse_unused(parser, arguments, ("arm",), "this drives at once; it is for --service")
    start_quickly()
    try:
        if arguments.service:
            from edge.service import serve

            return serve(arguments)
        from edge.drive import drive

        return drive(arguments)
    finally:
        gc.enable()


def start_quickly() -> None:
    """Spare a car's start what it does not need; to be called before NumPy is loaded."""
    # Nothing that is loaded now is garbage: 7 % fewer instructions until the first command if
    # the collector waits for the loop, which wakes it.
    gc.disable()
    # NumPy's OpenBLAS starts a thread for each core, which spin; a frame's few sums need none.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _replay(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    if arguments.bundle is None:
        refuse_unused(parser, arguments, ("variant",), "no bundle is asked; add --bundle FOLDER")
    from edge.replay import replay

    return replay(arguments)
