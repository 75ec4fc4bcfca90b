"""Numbers on the command line that would be nonsense if they were zero or less."""

from __future__ import annotations

import math


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
