"""What happened in training: the figures of every epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch.

    ``figures`` are named as Keras names them: ``loss``, ``accuracy``, those of each
    head (``color_loss``), and their twins in validation (``val_loss``). ``rate`` is
    training images per second.
    """

    number: int
    figures: Mapping[str, float]
    rate: float
    seconds: float

    @property
    def loss(self) -> float:
        """What was minimised, over the training part while it was learnt."""
        return self.figures["loss"]

    @property
    def accuracy(self) -> float:
        """The share of the training part that was right while it was learnt."""
        return self.figures["accuracy"]

    @property
    def val_loss(self) -> float:
        """The same loss over the validation part."""
        return self.figures["val_loss"]

    @property
    def val_accuracy(self) -> float:
        """The share of the validation part that is right."""
        return self.figures["val_accuracy"]


@dataclass
class History:
    """What happened: every epoch, the best one's number (from 1), and why it ended."""

    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0
    ended: str = "all epochs done"

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON, an epoch's figures beside its number."""
        return {
            "epochs": [
                {
                    "number": epoch.number,
                    **epoch.figures,
                    "rate": epoch.rate,
                    "seconds": epoch.seconds,
                }
                for epoch in self.epochs
            ],
            "best": self.best,
            "ended": self.ended,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> History:
        """What :meth:`as_dict` gave, read again."""
        epochs = []
        for row in raw["epochs"]:
            figures = dict(row)
            number, rate, seconds = (figures.pop(key) for key in ("number", "rate", "seconds"))
            epochs.append(Epoch(number, figures, rate, seconds))
        return cls(epochs, raw["best"], raw["ended"])
