"""Keeps score of how well a simulated car follows its hero."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from autcar.simulator.people_world import THE_HERO, PeopleWorld
from autcar.simulator.score import Pose

SEEN_PIXELS = 12
"""The hero is in view with this many pixels of 160 × 120, or as large a share of others."""

BUMP_M = 0.35
"""The middle of the car so near to a person's is a bump."""


@dataclass(slots=True)
class FollowScore:
    """What a walk came to; call :meth:`update` after each step of the world.

    Seconds are simulated. ``seconds_in_view`` counts the pictures that show the hero by
    the exact mask, whether others or pillars hide them or the car looks elsewhere.
    ``nearest`` and ``farthest`` are distances from the car's middle to the hero's, in metres, and
    ``failures`` how often the car bumped into anybody. ``rest_ms`` has, for each time that
    the hero went out of view while the wheels turned and stayed out, how long it took
    until they were told to rest, to the next picture.
    """

    world: PeopleWorld
    seconds: float = 0.0
    seconds_in_view: float = 0.0
    distance: float = 0.0
    hero_distance: float = 0.0
    nearest: float = math.inf
    farthest: float = 0.0
    failures: int = 0
    rest_ms: list[float] = field(default_factory=list)
    line: list[Pose] = field(default_factory=list)
    hero_line: list[Pose] = field(default_factory=list)
    _time_ns: int = 0
    _hidden_ns: int | None = None
    _bumping: bool = False

    def __post_init__(self) -> None:
        self._time_ns = self.world.time_ns
        self._append_poses()

    def update(self) -> None:
        """Add what happened since the last call."""
        world = self.world
        dt = (world.time_ns - self._time_ns) * 1e-9
        self._time_ns = world.time_ns
        self.seconds += dt
        least = SEEN_PIXELS * world.mount.width * world.mount.height / (160 * 120)
        in_view = int((world.mask() == THE_HERO).sum()) >= least
        self.seconds_in_view += dt * in_view
        self._time_rest(in_view)
        x, y, _ = self.line[-1]
        self.distance += math.hypot(world.x - x, world.y - y)
        x, y, _ = self.hero_line[-1]
        self.hero_distance += math.hypot(world.hero.x - x, world.hero.y - y)
        if world.hero_is_here:
            self.nearest = min(self.nearest, world.hero_distance)
            self.farthest = max(self.farthest, world.hero_distance)
        bumping = any(
            math.hypot(one.x - world.x, one.y - world.y) < BUMP_M for one in world.standing
        )
        self.failures += bumping and not self._bumping
        self._bumping = bumping
        self._append_poses()

    @property
    def in_view(self) -> float:
        """The share of the time that the hero was in view."""
        return self.seconds_in_view / self.seconds if self.seconds else 0.0

    def facts(self) -> dict[str, Any]:
        """Everything measured, JSON-able."""
        return {
            "seconds": round(self.seconds, 2),
            "in_view": round(self.in_view, 4),
            "nearest_m": round(self.nearest, 3) if math.isfinite(self.nearest) else None,
            "farthest_m": round(self.farthest, 3),
            "distance_m": round(self.distance, 3),
            "hero_distance_m": round(self.hero_distance, 3),
            "failures": self.failures,
            "rest_ms": [round(ms) for ms in self.rest_ms],
        }

    def summary(self) -> str:
        """The same for a person."""
        bumps = f"bumped into people {self.failures} times" if self.failures else "no bump"
        rests = f", at rest {max(self.rest_ms):.0f} ms after losing them" if self.rest_ms else ""
        return (
            f"{self.distance:.1f} m behind a hero who walked {self.hero_distance:.1f} m, in view "
            f"{self.in_view:.1%} of the time, {self.nearest:.2f} to {self.farthest:.2f} m away, "
            f"{bumps}{rests}"
        )

    def _time_rest(self, in_view: bool) -> None:
        """Time from the first picture without the hero to the wheels' rest."""
        world = self.world
        at_rest = world.commanded == (0.0, 0.0)
        if in_view:
            self._hidden_ns = None
        elif self._hidden_ns is None:
            # −1: at rest already; nothing to time.
            self._hidden_ns = -1 if at_rest else world.time_ns
        elif self._hidden_ns >= 0 and at_rest:
            self.rest_ms.append((world.time_ns - self._hidden_ns) / 1e6)
            self._hidden_ns = -1

    def _append_poses(self) -> None:
        world, walker = self.world, self.world.hero.walker
        self.line.append((world.x, world.y, world.heading))
        self.hero_line.append((walker.x, walker.y, walker.heading))
