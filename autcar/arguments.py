"""What the command line is given: numbers that make sense, and options that go together."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable
from typing import Any

from autcar.errors import ConfigError


def _read(kind: Callable[[str], Any], expected: str, fits: Callable[[Any], bool]) -> Any:
    """A reader of one value, whose error says what is ``expected``."""

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
        return value

    return read


positive = _read(int, "a whole number from 1", lambda number: number >= 1)
natural = _read(int, "a whole number from 0", lambda number: number >= 0)
port = _read(int, "a port from 0 (any free one) to 65535", lambda number: 0 <= number <= 65535)
share = _read(float, "a number from 0 to 1", lambda number: 0 <= number <= 1)
above_zero = _read(float, "a number above 0", lambda number: 0 < number < math.inf)
from_zero = _read(float, "a number from 0", lambda number: 0 <= number < math.inf)
seconds = _read(float, "a number of seconds above 0", lambda number: 0 < number < math.inf)


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
