"""What the command line is given: numbers that make sense, and options that go together."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable

from autcar.errors import ConfigError


def positive(text: str) -> int:
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def seconds(text: str) -> float:
    """A time in seconds, more than 0."""
    number = float(text)
    if not (number > 0 and math.isfinite(number)):
        raise ValueError(text)
    return number


def refuse_unused(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace, unused: Iterable[str], why: str
) -> None:
    """Raise :class:`ConfigError` for an option of ``unused`` that was given and would do nothing.

    ``unused`` are names as in ``arguments``; ``why`` ends the message.
    """
    options = {action.dest: action.option_strings[-1:] for action in parser._actions}
    for name in unused:
        if getattr(arguments, name) != parser.get_default(name):
            raise ConfigError(f"{options[name][0]} does nothing here: {why}")
