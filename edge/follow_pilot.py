"""The pilot that follows a person: eyes that say what each pixel shows, and a follower."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from autcar.bundle import Bundle
from autcar.cameras.base import Frame
from autcar.commands import CLASSES, STOP
from autcar.config import FollowSection
from autcar.errors import BundleError
from autcar.interpreter import Interpreter
from edge.follower import BACKGROUND, HERO, PERSON, Follower, Mask, Sighting, sight
from edge.pilots import Scores, fastest_variant

if TYPE_CHECKING:
    from autcar.simulator.people_world import PeopleWorld

Probabilities = npt.NDArray[np.float32]

_KINDS = {"background": BACKGROUND, "hero": HERO}


class FollowPilot:
    """Follows the hero that ``eyes`` see: H×W×``labels`` probabilities for each frame.

    The scores say what the follower chose and how sure the eyes were of the hero's
    pixels; the rest goes to ``stop``, so that a car in doubt stands. ``mask`` is what the
    newest picture shows, ``remark`` a few words on it for people.
    """

    def __init__(
        self,
        eyes: Callable[[Frame], Probabilities],
        labels: Sequence[str],
        settings: FollowSection | None = None,
    ) -> None:
        self.follower = Follower(settings)
        self.mask: Mask | None = None
        self.remark = self.follower.state
        self._eyes = eyes
        self._kinds = np.array([_KINDS.get(label, PERSON) for label in labels], np.uint8)

    def scores(self, frame: Frame) -> Scores:
        """12 scores; not a number where the eyes say none, which the gate takes for a fault."""
        found = self._eyes(frame)
        if not np.isfinite(found.sum()):
            return [float("nan")] * len(CLASSES)
        best = found.argmax(axis=2)
        mask = self._kinds[best]
        of_hero = found.max(axis=2)[mask == HERO]
        sureness = min(1.0, float(of_hero.mean())) if len(of_hero) else 1.0
        seen = sight(mask, sureness)
        command = self.follower.decide(seen, frame.time_ns)
        self.mask, self.remark = mask, _remark(self.follower, seen)
        scores = [0.0] * len(CLASSES)
        scores[STOP.index] = 1.0 - sureness
        scores[command.index] += sureness
        return scores


class BundleEyes:
    """Sees by a bundle's network. Raises :class:`BundleError` unless its output is such a map."""

    def __init__(self, bundle: Bundle, variant: str | None = None, threads: int = 1) -> None:
        self.variant = bundle.variant(variant) if variant else fastest_variant(bundle)
        self.labels = bundle.manifest.labels
        self._interpreter = Interpreter(bundle.path(self.variant), threads)
        self.runtime = self._interpreter.runtime
        shape = self._interpreter.output_shapes[0]
        if "hero" not in self.labels or len(shape) != 4 or shape[3] != len(self.labels):
            raise BundleError(
                f"bundle {bundle.folder} gives {shape} for the classes {', '.join(self.labels)}; "
                f"to follow, it must give 1 × height × width × one probability for each, "
                f"and one of them must be 'hero'; train it with `autcar train` on masks"
            )

    def __call__(self, frame: Frame) -> Probabilities:
        """H×W×classes for a frame of the bundle's size."""
        return self._interpreter.run(frame.image)


def knowing(world: PeopleWorld, settings: FollowSection | None = None) -> FollowPilot:
    """A pilot whose eyes are the simulated world's exact masks: what a network can come to."""
    from autcar.simulator.people_world import LABELS

    each = np.eye(len(LABELS), dtype=np.float32)
    return FollowPilot(lambda frame: each[world.mask()], LABELS, settings)


def _remark(follower: Follower, seen: Sighting) -> str:
    if not seen.pixels or follower.lost:
        return follower.state
    side = "left" if seen.bearing < 0 else "right"
    return f"{follower.state}: hero {abs(seen.bearing):.0%} {side}, {seen.size:.0%} high"
