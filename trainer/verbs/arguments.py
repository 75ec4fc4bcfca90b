"""What the verbs' options have in common."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

SPLITS = ("auto", "blocks", "last", "session", "source", "folders")


def add_parser(verbs: Any, name: str, summary: str, examples: str) -> argparse.ArgumentParser:
    """The sub-parser of the verb ``name``, its examples shown as they are written."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def names(text: str) -> tuple[str, ...]:
    """``"a,b"`` as ``("a", "b")``."""
    return tuple(text.split(","))


def size(text: str) -> tuple[int, int]:
    """``"224x168"`` as width and height in pixels, 32 or more each."""
    try:
        width, height = map(int, text.lower().split("x"))
    except ValueError:
        width = height = 0
    if width < 32 or height < 32:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not WIDTHxHEIGHT in pixels, 32 or more each, such as 224x168"
        )
    return width, height


def asked_schedule(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of the schedule that were given."""
    from trainer.learning.schedule import Schedule

    asked = {field.name: getattr(arguments, field.name, None) for field in fields(Schedule)}
    return {key: value for key, value in asked.items() if value is not None}
