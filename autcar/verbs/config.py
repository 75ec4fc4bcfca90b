"""The verb ``config``: a commented ``car.toml``."""

from __future__ import annotations

import argparse
import sys
from typing import Any


def add_verbs(verbs: Any) -> None:
    """Add ``config``."""
    parser = verbs.add_parser(
        "config",
        help="print a commented car.toml",
        description="Print a commented car.toml.",
        epilog="examples:\n  autcar config > car.toml\n"
        "  autcar config --camera picamera2 --motors stepper > car.toml\n"
        "  autcar config --config car.toml   check and complete one",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", metavar="FILE", help="complete this car.toml")
    parser.add_argument("--camera", metavar="NAME", help="with this camera driver's settings")
    parser.add_argument("--motors", metavar="NAME", help="with this motor driver's settings")
    parser.set_defaults(run=_config)


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
