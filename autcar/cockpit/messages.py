"""What a browser may say, and nothing else: every message is checked to the last field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from autcar.commands import LABELS, Command
from autcar.errors import AutcarError

LONGEST = 512
"""Bytes in a message; the longest that the page sends has about 150."""

LARGEST = 2**53
"""Whole numbers beyond this are not exact in a browser."""

LONGEST_S = 600.0


class BadMessageError(AutcarError, ValueError):
    """A message that the page would never send. It costs its sender the connection."""


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise BadMessageError("expected a whole number from 0")
    return value


def _seconds(value: Any) -> float:
    # NaN compares false with everything, and so is refused.
    if type(value) not in (int, float) or not 0 < value <= LONGEST_S:
        raise BadMessageError(f"expected seconds, more than 0 and up to {LONGEST_S:g}")
    return float(value)


def _command(value: Any) -> Command:
    if type(value) is not str or value not in LABELS:
        raise BadMessageError("expected one of the 12 commands")
    return Command.from_label(value)


def _name(value: Any) -> str:
    if type(value) is not str or not 0 < len(value) <= 200:
        raise BadMessageError("expected a name")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise BadMessageError("expected true or false")
    return value


FIELDS: Mapping[str, Mapping[str, Any]] = {
    # driving
    "take": {},
    "beat": {"lease": _number, "number": _number, "command": _command, "echo": _number},
    "release": {"lease": _number},
    "stop": {},
    "hand_back": {},
    # looking
    "view": {"on": _flag},
    "drawn": {"sequence": _number},
    # recording
    "record": {},
    "pause": {},
    "finish": {},
    "discard": {"seconds": _seconds},
    "undo": {},
    "save": {"seconds": _seconds},
    # recordings
    "delete": {"session": _name, "first": _number, "last": _number},
    "restore": {"session": _name},
}
"""What may be said: the fields of each message, all of them needed, and no other."""


def parse(text: str) -> dict[str, Any]:
    """Read one message; ``do`` says what it is. Raises :class:`BadMessageError`, nothing else."""
    try:
        raw = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadMessageError(f"not JSON: {error}") from None
    if type(raw) is not dict:
        raise BadMessageError("not an object")
    kind = raw.get("do")
    fields = FIELDS.get(kind) if type(kind) is str else None
    if fields is None:
        raise BadMessageError("it does not say what to do")
    if raw.keys() != {"do", *fields}:
        raise BadMessageError(f"{kind} has the fields {', '.join(fields) or '(none)'}")
    return {"do": kind, **{name: check(raw[name]) for name, check in fields.items()}}


def _no_constant(name: str) -> None:
    raise BadMessageError(f"{name} is no number")
