"""Pilots: whatever turns a frame into 12 scores, one per command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from autcar.bundle import Bundle, Variant
from autcar.cameras.base import Frame
from autcar.commands import CLASSES, Command
from autcar.interpreter import Interpreter, find_runtime
from autcar.safety import BLIND_LABELS, Reason

Scores = Sequence[float]


_FASTEST_FIRST = {
    "LiteRT": ("int8", "float32", "float16", "dynamic"),
    # Its wheels accelerate floats only: int8 is 2.6 times slower than float32.
    "tflite-runtime": ("float32", "float16", "dynamic", "int8"),
}


class Pilot(Protocol):
    """Looks at a frame and says how sure it is of each of the 12 commands."""

    def scores(self, frame: Frame) -> Scores:
        """12 scores in class order, 0…1."""


class Decider(Protocol):
    """Looks at a frame and decides on one command: the simulator's expert, or your own object."""

    def decide(self, frame: Frame) -> Command:
        """The command to drive now."""


def chosen(scores: Scores) -> Command:
    """The command of the highest of 12 scores."""
    return CLASSES[max(range(len(CLASSES)), key=scores.__getitem__)]


class BundlePilot:
    """A bundle's network, run by whichever TensorFlow Lite runtime is installed.

    ``blind`` says why the newest frame shows no road, for a bundle with classes of
    :data:`~autcar.safety.BLIND_LABELS` whose likeliest class was one of them, else None.
    """

    def __init__(self, bundle: Bundle, variant: str | None = None, threads: int = 1) -> None:
        chosen = bundle.variant(variant) if variant else fastest_variant(bundle)
        self.variant = chosen
        self._interpreter = Interpreter(bundle.path(chosen), threads)
        self.runtime = self._interpreter.runtime
        self.blind: Reason | None = None
        labels = bundle.manifest.labels
        self._reasons = [BLIND_LABELS.get(label) for label in labels]
        self._commands = [at for at, reason in enumerate(self._reasons) if reason is None]
        self._plain = len(self._commands) == len(labels)

    def scores(self, frame: Frame) -> Scores:
        """12 scores for a frame of the bundle's size."""
        scores: list[float] = self._interpreter.run(frame.image).tolist()
        if self._plain or len(scores) != len(self._reasons):
            return scores
        self.blind = self._reasons[max(range(len(scores)), key=scores.__getitem__)]
        return [scores[at] for at in self._commands]


def fastest_variant(bundle: Bundle) -> Variant:
    """The variant that the installed runtime runs fastest."""
    runtime, _ = find_runtime()
    order = _FASTEST_FIRST.get(runtime, _FASTEST_FIRST["LiteRT"])
    return min(bundle.manifest.variants, key=lambda variant: order.index(variant.quantization))


class DecidingPilot:
    """Makes a pilot of an object that decides on one command."""

    def __init__(self, decider: Decider) -> None:
        self._decider = decider

    def scores(self, frame: Frame) -> Scores:
        """1 for the command that was decided on (its nearest class), 0 for the others."""
        index = self._decider.decide(frame).nearest_class().index
        return [1.0 if index == number else 0.0 for number in range(len(CLASSES))]


class ConstantDecider:
    """Always the same command: a baseline that any trained pilot must beat."""

    def __init__(self, command: Command) -> None:
        self._command = command

    def decide(self, frame: Frame) -> Command:
        """The same command, whatever is seen."""
        return self._command
