"""Drive what a file says: a command and its seconds on each line."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autcar.commands import Command
from autcar.errors import CommandError, DataError, DataNotFoundError
from autcar.helm import Helm
from capture.hand import Hand


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a script."""

    command: Command
    seconds: float


def read_script(path: str | Path) -> list[Step]:
    """Read a script: `LABEL SECONDS` a line, `#` begins a comment.

    Raises :class:`DataNotFoundError`, or :class:`DataError` naming the line.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DataNotFoundError(f"there is no script {path}; check the path") from None
    steps = []
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            label, seconds = words
            step = Step(Command.from_label(label), float(seconds))
        except CommandError as error:
            raise DataError(f"{path}:{number}: {error}") from error
        except ValueError:
            raise DataError(
                f"{path}:{number}: {line.strip()!r} is not a command and its seconds; "
                f"write such as `move_medium_forward 2`"
            ) from None
        if not (math.isfinite(step.seconds) and 0 < step.seconds <= 3600):
            raise DataError(f"{path}:{number}: {seconds} is no time from 0 to 3600 seconds")
        steps.append(step)
    if not steps:
        raise DataError(f"{path} has no command; write such as `move_medium_forward 2`")
    return steps


def run_script(
    helm: Helm,
    steps: list[Step],
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Drive the steps one after the other; returns whether all were driven to their end."""
    with Hand(helm, "script", None) as hand:
        hand.take()
        for step in steps:
            hand.say(step.command)
            sleep(step.seconds)
            if not hand.drives:
                return False
    return True
