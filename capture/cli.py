"""The verb ``autcar record``."""

from __future__ import annotations

import argparse
from typing import Any

from autcar.arguments import natural, port, positive, refuse_unused, seconds

_EXAMPLES = """\
examples:
  autcar record                                       open the cockpit page, drive and record
  autcar record --listen 0.0.0.0                      let your phone in, too, by a pairing code
  autcar record --keyboard                            drive from this terminal, over ssh as well
  autcar record --script lap.txt --seconds 60         drive and record what a script says
  autcar record --pilot expert                        2,000 frames of the simulated car
  autcar record --pilot expert --frames 500 --seed 7  a short recording on another track

a script has a command and its seconds on each line, such as `move_medium_forward 2`
"""


def add_verbs(verbs: Any) -> None:
    """Add ``record``."""
    parser = verbs.add_parser(
        "record",
        help="drive by hand and record frames labelled with the command in force",
        description="Drive by hand, from a page in the browser or a terminal, and record frames "
        "labelled with the command in force. Ctrl-C stops the car and closes the recording.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", metavar="FILE", help="car.toml (default: ./car.toml if there)")
    parser.add_argument(
        "--pilot",
        choices=["human", "expert"],
        default="human",
        help="who drives: you, or the simulator's expert, faster than real time (human)",
    )
    parser.add_argument("--seed", type=natural, help="simulated track; overrides [simulator] seed")
    parser.add_argument("--output", metavar="FOLDER", help="overrides [record] folder")
    human = parser.add_argument_group("driven by hand")
    human.add_argument("--listen", metavar="ADDRESS", help="overrides [cockpit] listen")
    human.add_argument("--port", type=port, help="overrides [cockpit] port; 0 takes any free one")
    human.add_argument("--pair", action="store_true", help="ask for a pairing code here, too")
    human.add_argument("--no-cockpit", action="store_true", help="serve no page")
    human.add_argument("--keyboard", action="store_true", help="drive from this terminal")
    human.add_argument("--gamepad", metavar="DEVICE", help="drive by an evdev gamepad, or 'auto'")
    human.add_argument("--script", metavar="FILE", help="drive what a file says, and record it")
    human.add_argument("--seconds", type=seconds, help="end after this long (default: Ctrl-C)")
    human.add_argument(
        "--service", action="store_true", help="as a systemd service does; see `autcar service`"
    )
    expert = parser.add_argument_group("driven by the expert")
    expert.add_argument("--frames", type=positive, default=2000, help="how many frames (2000)")
    parser.set_defaults(run=lambda arguments: _record(parser, arguments))


_BY_HAND = "listen port pair no_cockpit keyboard gamepad script seconds service".split()  # noqa: SIM905
_BY_EXPERT = ("frames",)


def _record(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    if arguments.pilot == "human":
        refuse_unused(parser, arguments, _BY_EXPERT, "a person drives; add --pilot expert")
    else:
        refuse_unused(parser, arguments, _BY_HAND, "the expert drives; leave out --pilot expert")
    if arguments.service:
        from capture.service import serve

        return serve(arguments)
    if arguments.pilot == "human":
        from capture.drive import drive_by_hand

        return drive_by_hand(arguments)
    from autcar.config import load_config
    from autcar.progress import terminal_progress
    from capture.simulated import record_expert

    config = load_config(arguments.config)
    seed = config.simulator.seed if arguments.seed is None else arguments.seed
    folder = arguments.output or config.record.folder
    writer = record_expert(config, folder, seed, arguments.frames, terminal_progress())
    print(f"{writer.frames:,} frames in {writer.folder}")
    for label, count in sorted(writer.counts.items()):
        print(f"  {label:<24}{count:>6}")
    print(f"next: autcar train {folder}")
    return 0
