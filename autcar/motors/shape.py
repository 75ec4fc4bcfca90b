"""What differs from car to car between a wheel speed and what a motor is told."""

from __future__ import annotations

import math
from dataclasses import dataclass

from autcar.drivers import setting
from autcar.errors import MotorError


@dataclass(frozen=True)
class Shape:
    """Settings that every driver of two sides has; ``autcar calibrate`` finds them."""

    swap: bool = setting(False, "the left motor is wired to the right's pins")
    invert_left: bool = setting(False, "the left wheel turns the wrong way")
    invert_right: bool = setting(False, "the right wheel turns the wrong way")
    trim: float = setting(
        0.0, "above 0 slows the left side, below the right: 0.05 is 5 %", -0.5, 0.5
    )
    dead_band: float = setting(0.0, "the least drive, 0…1, at which the wheels turn", 0, 0.9)
    ramp_s: float = setting(0.2, "seconds from rest to full speed; stopping is at once", 0, 5)

    def apply(self, left: float, right: float) -> tuple[float, float]:
        """What the motor on the left pins and the one on the right pins are to do, −1…1."""
        left = self._drive(left * min(1.0, 1.0 - self.trim))
        right = self._drive(right * min(1.0, 1.0 + self.trim))
        if self.invert_left:
            left = -left
        if self.invert_right:
            right = -right
        return (right, left) if self.swap else (left, right)

    def _drive(self, speed: float) -> float:
        """Every speed but rest overcomes the dead band; full speed stays full."""
        if speed == 0:
            return 0.0
        return math.copysign(self.dead_band + (1 - self.dead_band) * abs(speed), speed)


def checked(left: float, right: float) -> tuple[float, float]:
    """Speeds cut off at −1…1. Raises :class:`MotorError` for what is no number."""
    if not (math.isfinite(left) and math.isfinite(right)):
        raise MotorError(f"wheel speeds {left}, {right} are not numbers from -1 to 1")
    return min(max(left, -1.0), 1.0), min(max(right, -1.0), 1.0)


def approach(speed: float, target: float, most: float) -> float:
    """``speed`` moved towards ``target`` by at most ``most``."""
    return min(speed + most, target) if target > speed else max(speed - most, target)
