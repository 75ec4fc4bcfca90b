"""People who walk about an open floor, from place to place, and bump into nobody.

The way round others is a social force (Helbing and Molnár, 1995) with a bound on how
fast a person turns; and whatever that says, nobody takes a step that brings them too
near to somebody else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TICK_S = 0.025
"""People move in steps this long, so that a walk does not depend on how time is cut."""

APART_M = 0.55
"""Two people's middles stay this far apart."""

_KEEP_M = 0.9  # how far round somebody people like to go
_ARRIVED_M = 0.3
_SLACK_M = 0.1
_TURN = 2.4  # rad/s
_PATIENCE_S = 2.0  # somebody whose way is barred this long goes elsewhere
_EAGERNESS = 2.0  # 1/s: how fast a speed is taken up


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something round to walk about: metres."""

    x: float
    y: float
    radius: float


class Walker:
    """Somebody who walks from place to place within ``reach`` metres of the middle.

    ``heading`` is radians, ``stride`` counts strides for the picture. Where to go, how
    fast and when to pause is drawn from ``rng``.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        place: tuple[float, float],
        reach: float,
        speeds: tuple[float, float],
    ) -> None:
        self.x, self.y = place
        self.heading = float(rng.uniform(-math.pi, math.pi))
        self.stride = float(rng.random())
        self.speed = 0.0
        self._rng = rng
        self._reach = reach
        self._speeds = speeds
        self._pause_s = 0.0
        self._blocked_s = 0.0
        self._set_out()

    def _set_out(self) -> None:
        """Choose where to go next, and how fast."""
        angle, away = self._rng.uniform(0, math.tau), math.sqrt(self._rng.random())
        self._goal = (
            self._reach * away * math.cos(angle),
            self._reach * away * math.sin(angle),
        )
        self._pace = float(self._rng.uniform(*self._speeds))

    def step(self, others: Sequence[Walker], obstacles: Sequence[Obstacle]) -> None:
        """Walk on for one :data:`TICK_S`."""
        bodies = [(o.x, o.y, APART_M) for o in others if o is not self]
        bodies += [(o.x, o.y, o.radius + APART_M / 2) for o in obstacles]
        before = self.x, self.y
        self._go(self._pace_now(bodies))
        if _allowed(before, (self.x, self.y), bodies):
            self._blocked_s = max(0.0, self._blocked_s - TICK_S)
        else:
            self.x, self.y = before
            self.speed = 0.0
            self._blocked_s += TICK_S

    def _pace_now(self, bodies: Sequence[Body]) -> float:
        """Turn towards the goal, and say how fast to go."""
        if (near := _too_near(self, bodies)) is not None:
            self.heading = math.atan2(self.y - near[1], self.x - near[0])
            return self._speeds[1]
        if self._pause_s > 0.0:
            self._pause_s -= TICK_S
            return 0.0
        dx, dy = self._goal[0] - self.x, self._goal[1] - self.y
        away = math.hypot(dx, dy)
        if away < _ARRIVED_M or self._blocked_s > _PATIENCE_S:
            self._pause_s = float(self._rng.uniform(0.5, 2.5)) if self._rng.random() < 0.4 else 0.0
            self._blocked_s = 0.0
            self._set_out()
            return 0.0
        wx, wy = _wanted(self, (dx / away, dy / away), bodies)
        turn = math.remainder(math.atan2(wy, wx) - self.heading, math.tau)
        most = _TURN * TICK_S
        self.heading = math.remainder(self.heading + max(-most, min(most, turn)), math.tau)
        # Slowly round sharp turns, as people do.
        return self._pace * max(0.2, math.cos(min(abs(turn), math.pi / 2)))

    def _go(self, pace: float) -> None:
        self.speed += (pace - self.speed) * _EAGERNESS * TICK_S
        self.x += self.speed * TICK_S * math.cos(self.heading)
        self.y += self.speed * TICK_S * math.sin(self.heading)
        # A stride is two steps of about 0.7 m; slow walkers take shorter ones.
        self.stride = (self.stride + self.speed * TICK_S / (0.5 + 0.7 * self.speed)) % 1.0
        if self.speed < 0.03:
            self.stride = 0.0


Body = tuple[float, float, float]
"""Metres x and y, and how far from there one's middle must stay."""


def _too_near(walker: Walker, bodies: Sequence[Body]) -> Body | None:
    """What came nearer than it may, as a car that backs does: one steps aside at once."""
    for body in bodies:
        if math.hypot(walker.x - body[0], walker.y - body[1]) < body[2] - _SLACK_M:
            return body
    return None


def _wanted(
    walker: Walker, towards: tuple[float, float], bodies: Sequence[Body]
) -> tuple[float, float]:
    """The direction to take: to the goal, and away from and round what is in the way."""
    wx, wy = towards
    for x, y, least in bodies:
        dx, dy = walker.x - x, walker.y - y
        away = math.hypot(dx, dy)
        room = least + _KEEP_M
        if away > room or away < 1e-9:
            continue
        push = 1.6 * ((room - away) / _KEEP_M) ** 2
        nx, ny = dx / away, dy / away
        # Round it on the side that one is on already; dead ahead, to the right.
        ahead = -(nx * towards[0] + ny * towards[1])
        side = 1.0 if nx * towards[1] - ny * towards[0] >= 0 else -1.0
        round_it = max(0.0, ahead) * push
        wx += push * nx + round_it * side * towards[1]
        wy += push * ny - round_it * side * towards[0]
    return wx, wy


def _allowed(
    before: tuple[float, float], after: tuple[float, float], bodies: Sequence[Body]
) -> bool:
    """Whether a step comes no nearer than it may to anything, or at least leads away."""
    for x, y, least in bodies:
        away = math.hypot(after[0] - x, after[1] - y)
        if away < least and away < math.hypot(before[0] - x, before[1] - y):
            return False
    return True
