"""The commands that the car can be told, and the 12 of them that are classes.

The classes stand in alphabetical order of their labels, so the index of a
command is its class. That order is a contract with recordings and models that
already exist. Wheel speeds are fractions of full speed and follow AutCar's
stepper delays (fast 0.7 ms, medium 1.0 ms, slow 5 ms; inner wheel of a turn
2 ms for light and 5 ms for medium), as 0.7 ms / delay.
"""

from __future__ import annotations

import ast
import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from autcar.errors import CommandError

DIRECTIONS = ("forward", "backwards")
SPEEDS = ("slow", "medium", "fast")
STYLES = ("light", "medium", "harsh")

# Outer (or only) and inner wheel, as fractions of full speed.
_STRAIGHT = {"slow": 0.14, "medium": 0.70, "fast": 1.00}
_TURN = {"light": (0.70, 0.35), "medium": (0.70, 0.14), "harsh": (1.00, 0.14)}


@dataclass(frozen=True, slots=True)
class Command:
    """One thing the car can be told.

    ``type`` is ``"move"``, ``"left"``, ``"right"`` or ``"stop"``. ``manner`` is
    the speed of a move or the style of a turn. A stop has neither manner nor
    direction. Raises :class:`CommandError` for anything else.
    """

    type: str
    manner: str | None = None
    direction: str | None = None

    def __post_init__(self) -> None:
        if self.type == "stop":
            if self.manner is not None or self.direction is not None:
                raise CommandError("a stop command has no speed, style or direction")
            return
        manners = {"move": SPEEDS, "left": STYLES, "right": STYLES}.get(self.type)
        if manners is None:
            raise CommandError(
                f"command type {self.type!r} is not known; use 'move', 'left', 'right' or 'stop'"
            )
        if self.manner not in manners:
            key = "speed" if self.type == "move" else "style"
            raise CommandError(
                f"{self.type} has no {key} {self.manner!r}; use one of {', '.join(manners)}"
            )
        if self.direction not in DIRECTIONS:
            raise CommandError(
                f"direction {self.direction!r} is not known; use 'forward' or 'backwards'"
            )

    @property
    def label(self) -> str:
        """The name, such as ``left_light_forward``."""
        return "stop" if self.type == "stop" else f"{self.type}_{self.manner}_{self.direction}"

    @property
    def is_class(self) -> bool:
        """Whether this is one of the 12 classes that a model predicts."""
        return self.label in _INDEX

    @property
    def index(self) -> int:
        """The class, 0…11. Raises :class:`CommandError` for a command that is not a class."""
        try:
            return _INDEX[self.label]
        except KeyError:
            raise CommandError(
                f"{self.label} can be driven but is not one of the 12 classes; "
                f"its nearest class is {self.nearest_class().label}"
            ) from None

    @property
    def wheels(self) -> tuple[float, float]:
        """Left and right wheel speed, −1…1 of full speed."""
        if self.type == "stop":
            return (0.0, 0.0)
        sign = 1.0 if self.direction == "forward" else -1.0
        if self.type == "move":
            speed = sign * _STRAIGHT[str(self.manner)]
            return (speed, speed)
        outer, inner = _TURN[str(self.manner)]
        return (
            (sign * inner, sign * outer) if self.type == "left" else (sign * outer, sign * inner)
        )

    def nearest_class(self) -> Command:
        """The class that stands for this command in training.

        ``slow`` and a fast move backwards become ``medium``, ``harsh`` becomes ``medium``.
        """
        return self if self.is_class else Command(self.type, "medium", self.direction)

    def mirrored(self) -> Command:
        """The command for the mirrored image: left and right swapped."""
        swap = {"left": "right", "right": "left"}
        return Command(swap.get(self.type, self.type), self.manner, self.direction)

    def to_json(self) -> str:
        """A JSON object that also reads as a Python literal, as AutCar's own reader wants it."""
        if self.type == "stop":
            return '{"type": "stop"}'
        key = "speed" if self.type == "move" else "style"
        return json.dumps({"type": self.type, "direction": self.direction, key: self.manner})

    @classmethod
    def from_label(cls, label: str) -> Command:
        """Read a label such as ``move_fast_forward``. Raises :class:`CommandError`."""
        parts = label.split("_")
        if parts == ["stop"]:
            return STOP
        if len(parts) == 3:
            return cls(*parts)
        near = difflib.get_close_matches(label, LABELS, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; the labels are {', '.join(LABELS)}"
        raise CommandError(f"{label!r} is not a command{hint}")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> Command:
        """Read AutCar's ``{"type": "left", "direction": "forward", "style": "medium"}``."""
        kind = mapping.get("type")
        if kind == "stop":
            return STOP
        manner = mapping.get("speed" if kind == "move" else "style")
        direction = mapping.get("direction")
        if not (isinstance(kind, str) and isinstance(manner, str) and isinstance(direction, str)):
            raise CommandError(
                f"{dict(mapping)!r} is not a command: type, direction, speed or style"
            )
        return cls(kind, manner, direction)

    @classmethod
    def parse(cls, text: str) -> Command:
        """Read a command from JSON, a Python literal or a label.

        Raises :class:`CommandError` and nothing else, whatever the text.
        """
        text = text.strip()
        if not text.startswith("{"):
            return cls.from_label(text)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            try:
                value = ast.literal_eval(text)
            except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                raise CommandError(
                    f"{text[:60]!r} is neither a JSON object nor a Python literal"
                ) from None
        if not isinstance(value, dict):
            raise CommandError(f"{text[:60]!r} is not an object with a type")
        return cls.from_mapping(value)


STOP = Command("stop")

_KINDS = [
    (kind, style, direction)
    for kind in ("left", "right")
    for style in ("light", "medium")
    for direction in DIRECTIONS
]
_KINDS += [
    ("move", "fast", "forward"),
    ("move", "medium", "backwards"),
    ("move", "medium", "forward"),
]

CLASSES: tuple[Command, ...] = tuple(
    sorted([*(Command(*kind) for kind in _KINDS), STOP], key=lambda command: command.label)
)
"""The 12 commands in class order."""

LABELS: tuple[str, ...] = tuple(command.label for command in CLASSES)
"""The 12 labels in class order."""

_INDEX = {label: index for index, label in enumerate(LABELS)}

MIRROR: tuple[int, ...] = tuple(command.mirrored().index for command in CLASSES)
"""The class of the mirrored image, by class."""
