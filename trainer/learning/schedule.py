"""How long and how fast to learn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from autcar.errors import ConfigError

USUAL_STEPS = 3000
"""Batches that train a network well: of 64 frames, some four minutes on two cores."""

Shape = Literal["cosine", "constant", "step", "plateau"]
Optimizer = Literal["adam", "nadam", "sgd"]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    The rate rises over the first ``warm_up`` epochs to ``learning_rate`` and then
    follows ``shape``: along a cosine to nearly 0 at the last of ``epochs``, constant,
    in steps to a tenth at half and at three quarters, or halved whenever validation
    stays on a plateau for half of ``patience``. 0 epochs stand for as many as take
    :data:`USUAL_STEPS` batches, between 8 and 40. ``l2`` is the penalty on the
    squares of all kernels, beside those that the network states itself.

    Training ends early after ``patience`` validations in a row that are no better than
    the best, or when ``until`` (such as ``"accuracy=0.9"``) is reached in validation,
    never before ``min_epochs``, and the best weights are kept. While the rate is high
    validation goes up and down: little patience ends a cosine before its best part. With
    ``keep="last"`` all epochs are done and the last weights kept, so that validation
    decides nothing.
    """

    epochs: int = 0
    learning_rate: float = 2e-3
    shape: Shape = "cosine"
    warm_up: float = 0.5
    optimizer: Optimizer = "adam"
    l2: float = 0.0
    patience: int = 10
    min_epochs: int = 3
    until: str = ""
    keep: Literal["best", "last"] = "best"

    def settled(self, batches: int) -> Schedule:
        """This schedule with its epochs fixed, for ``batches`` an epoch."""
        usual = min(max(round(USUAL_STEPS / batches), 8), 40)
        return self if self.epochs else replace(self, epochs=usual)


def learning_rate(schedule: Schedule, done: float, val_losses: Sequence[float] = ()) -> float:
    """The rate after ``done`` epochs (fractions count), given each epoch's validation loss."""
    warm_up = min(1.0, (done + 0.01) / schedule.warm_up) if schedule.warm_up else 1.0
    share = done / schedule.epochs
    if schedule.shape == "cosine":
        factor = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share))
    elif schedule.shape == "step":
        factor = 1.0 if share < 0.5 else 0.1 if share < 0.75 else 0.01
    elif schedule.shape == "plateau":
        factor = 0.5 ** _plateaus(val_losses, max(1, schedule.patience // 2))
    else:
        factor = 1.0
    return schedule.learning_rate * warm_up * factor


def _plateaus(losses: Sequence[float], wait: int) -> int:
    """How often ``losses`` stayed no better than their best for ``wait`` epochs."""
    found, best, waited = 0, math.inf, 0
    for loss in losses:
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
        if waited == wait:
            found, waited = found + 1, 0
    return found


@dataclass(frozen=True)
class Level:
    """A figure of validation and the value at which training may end."""

    name: str
    value: float

    @classmethod
    def parse(cls, text: str, names: Sequence[str]) -> Level | None:
        """``"accuracy=0.9"`` as a level; None for no text.

        ``names`` are the figures there are. Raises :class:`ConfigError` for any other
        name, and for what is no number.
        """
        if not text:
            return None
        name, _, value = text.partition("=")
        name = name.strip().removeprefix("val_")
        try:
            level = cls(name, float(value))
        except ValueError:
            raise ConfigError(
                f"--until {text!r} has no number after '='; say for example --until accuracy=0.9"
            ) from None
        if name not in names:
            raise ConfigError(f"--until {text!r}: there is no {name!r}; use {', '.join(names)}")
        return level

    def reached(self, value: float) -> bool:
        """Whether ``value`` is as good: as low for a loss, as high for anything else."""
        return value <= self.value if self.name.endswith("loss") else value >= self.value

    def __str__(self) -> str:
        return f"val_{self.name} of {self.value:g}"
