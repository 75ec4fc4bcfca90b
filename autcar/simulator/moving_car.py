"""A car that moves over a floor and looks about: what every simulated world has."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from autcar.simulator.mount import CameraMount
from autcar.simulator.render import Image, Renderer

SUBSTEP_S = 0.005


@dataclass(frozen=True, slots=True)
class Car:
    """A car with two driven sides that turns about its centre.

    Full speed in m/s, lengths in metres. Wheel speeds follow their command with a
    first-order lag of ``lag_s``. With an ``imbalance`` of 0.1, the left side runs
    5 % faster and the right side 5 % slower than told.
    """

    full_speed: float = 0.6
    axle_track: float = 0.15
    wheel_base: float = 0.12
    length: float = 0.20
    lag_s: float = 0.08
    imbalance: float = 0.0

    @property
    def nose(self) -> float:
        """Metres from the centre to the front end."""
        return self.length / 2


class MovingCar(abc.ABC):
    """A simulated car, advanced step by step; what surrounds it, subclasses know.

    ``x``, ``y`` (metres) and ``heading`` (radians, −π…π) are the car's centre of
    turning; ``speeds`` what the two sides really run at, as fractions of full
    speed; ``time_ns`` the time since the start. ``disturbance`` above 0 makes the
    floor uneven: sudden turns and slip, drawn from ``seed``, so that recoveries
    happen and are recorded truthfully.
    """

    def __init__(
        self,
        *,
        car: Car | None = None,
        mount: CameraMount | None = None,
        seed: int = 0,
        disturbance: float = 0.0,
    ) -> None:
        self.car = car or Car()
        self.mount = mount or CameraMount()
        self.disturbance = disturbance
        self.time_ns = 0
        self.commanded = (0.0, 0.0)
        self._bumps = _Bumps(np.random.default_rng(seed), disturbance)
        self.put(0.0, 0.0, 0.0)

    def put(self, x: float, y: float, heading: float) -> None:
        """Put the car down at rest: metres and radians."""
        self.x, self.y, self.heading = x, y, math.remainder(heading, math.tau)
        self.speeds = (0.0, 0.0)
        self.set_wheels(0.0, 0.0)

    def set_wheels(self, left: float, right: float) -> None:
        """Command the wheel speeds, −1…1 of full speed, until the next call."""
        self.commanded = (left, right)

    def step(self, dt_s: float) -> None:
        """Advance by ``dt_s`` seconds, in substeps of which each is an exact arc."""
        if dt_s <= 0.0:
            return
        car = self.car
        number = max(1, math.ceil(dt_s / SUBSTEP_S - 1e-6))
        h = dt_s / number
        # Exact first-order lag: where a side is after h, and its mean on the way there.
        decay = math.exp(-h / car.lag_s) if car.lag_s > 0.0 else 0.0
        mean_over = (1.0 - decay) * car.lag_s / h
        target_left = self.commanded[0] * (1.0 + car.imbalance / 2)
        target_right = self.commanded[1] * (1.0 - car.imbalance / 2)
        left, right = self.speeds
        x, y, heading = self.x, self.y, self.heading
        for _ in range(number):
            error_left, error_right = left - target_left, right - target_right
            mean_left = target_left + error_left * mean_over
            mean_right = target_right + error_right * mean_over
            left = target_left + error_left * decay
            right = target_right + error_right * decay
            if self.disturbance:
                mean_left, mean_right, kick = self._bumps.disturb(mean_left, mean_right, h)
            else:
                kick = 0.0
            distance = h * car.full_speed * (mean_left + mean_right) / 2
            turn = h * (car.full_speed * (mean_right - mean_left) / car.axle_track + kick)
            half = turn / 2
            chord = distance * (math.sin(half) / half if abs(half) > 1e-6 else 1.0)
            x += chord * math.cos(heading + half)
            y += chord * math.sin(heading + half)
            heading += turn
        self.x, self.y, self.heading = x, y, math.remainder(heading, math.tau)
        self.speeds = (left, right)
        self.time_ns += round(dt_s * 1e9)

    @property
    def speed(self) -> float:
        """Metres per second along the heading, negative backwards."""
        return self.car.full_speed * (self.speeds[0] + self.speeds[1]) / 2

    def point(self, ahead: float, left: float = 0.0) -> tuple[float, float]:
        """Floor coordinates of a point fixed to the car, in metres from its centre."""
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        return self.x + ahead * cos - left * sin, self.y + ahead * sin + left * cos

    def render(self) -> Image:
        """What the camera sees now: fresh RGB ``uint8``, height × width × 3."""
        x, y = self.point(self.mount.ahead_m)
        return self.renderer.render(x, y, self.heading, self.time_ns)

    @cached_property
    def renderer(self) -> Renderer:
        """Made at the first picture: a world that nobody looks at is never painted."""
        return self.paint()

    @abc.abstractmethod
    def paint(self) -> Renderer:
        """Make what turns poses into pictures."""


class _Bumps:
    """An uneven floor: slip that drifts, and kicks that turn the car for a moment."""

    _KICKS_PER_S = 0.7
    _SLIP_MEMORY_S = 0.5

    def __init__(self, rng: np.random.Generator, strength: float) -> None:
        self._rng = rng
        self._strength = strength
        self._slip_left = self._slip_right = 0.0
        self._next_s = self._draw_pause()
        self._left_s = self._length_s = 0.0
        self._peak = 0.0

    def _draw_pause(self) -> float:
        return float(self._rng.exponential(1.0 / self._KICKS_PER_S))

    def disturb(self, left: float, right: float, h: float) -> tuple[float, float, float]:
        """Wheel speeds after slip, and the yaw rate of a kick in rad/s, for ``h`` seconds."""
        decay = h / self._SLIP_MEMORY_S
        spread = 0.08 * self._strength * math.sqrt(2 * decay)
        drawn_left, drawn_right = self._rng.standard_normal(2)
        self._slip_left += float(drawn_left) * spread - decay * self._slip_left
        self._slip_right += float(drawn_right) * spread - decay * self._slip_right
        # A car that stands is not kicked: time until the next kick runs while it moves.
        moving = min(1.0, (abs(left) + abs(right)) / 1.4)
        self._next_s -= h * moving
        if self._next_s <= 0.0:
            self._next_s = self._draw_pause()
            self._left_s = self._length_s = float(self._rng.uniform(0.15, 0.4))
            self._peak = float(self._rng.normal(0.0, 2.2)) * self._strength
        kick = 0.0
        if self._left_s > 0.0:
            kick = self._peak * math.sin(math.pi * self._left_s / self._length_s) * moving
            self._left_s -= h
        return left * (1.0 + self._slip_left), right * (1.0 + self._slip_right), kick
