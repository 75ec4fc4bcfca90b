"""28BYJ-48 stepper motors on ULN2003 boards, wired as AutCar's Model One.

==========  ==================  ==================
coil        left: BOARD (BCM)   right: BOARD (BCM)
==========  ==================  ==================
IN1         11 (GPIO17)         16 (GPIO23)
IN2         12 (GPIO18)         18 (GPIO24)
IN3         13 (GPIO27)         22 (GPIO25)
IN4         15 (GPIO22)          7 (GPIO4)
==========  ==================  ==================

BOARD 7 (GPIO4) is pulled **up** from power-on until the pins are opened: that coil
of the right motor is energised meanwhile, which holds the wheel and warms the motor
but does not turn it. Any free pin among GPIO9…GPIO27 is pulled down instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from autcar.drivers import setting
from autcar.motors.gpio import Pins, pin_names
from autcar.motors.paced import NewPacer, PacedMotors
from autcar.motors.pacer import Pacer
from autcar.motors.shape import Shape, approach

SEQUENCE = (
    (1, 0, 0, 0),
    (1, 1, 0, 0),
    (0, 1, 0, 0),
    (0, 1, 1, 0),
    (0, 0, 1, 0),
    (0, 0, 1, 1),
    (0, 0, 0, 1),
    (1, 0, 0, 1),
)
"""Half steps: the coils IN1…IN4 in the order that turns the left wheel forwards."""

PULL_IN = 0.35
"""A motor follows up to this share of full speed from rest; beyond it, it is ramped."""

_CATCH_UP = 0.8
"""The shortest pause after a late step, as a share of the regular one: no step is lost."""

_MOST_LATE = 4
"""How many steps are made up for; a thread that was held up longer goes on from now."""


@dataclass(frozen=True)
class StepperSettings(Shape):
    """Pins as ``GPIOn`` or ``BOARDn``, IN1 to IN4 of each motor's board."""

    left_pins: str = setting(
        "BOARD11 BOARD12 BOARD13 BOARD15", "IN1 IN2 IN3 IN4 of the left motor"
    )
    right_pins: str = setting(
        "BOARD16 BOARD18 BOARD22 BOARD7", "IN1 IN2 IN3 IN4 of the right motor"
    )
    step_ms: float = setting(0.7, "milliseconds between half steps at full speed", 0.5, 20)


class _Side:
    """One motor: which coils are on, how fast it goes, and when its next step is due."""

    def __init__(self, names: list[str], forwards: int) -> None:
        self.names = names
        self.forwards = forwards
        self.phase = 0
        self.coils = (0, 0, 0, 0)
        self.speed = 0.0
        self.target = 0.0
        self.ideal_ns = 0.0  # when the next step should be, were no step ever late
        self.due_ns = 0  # when it will be


class StepperMotors(PacedMotors):
    """Steps both motors from a thread of its own, each at its own pace.

    A step is due one period after the last one *should have been*, so that lateness does
    not add up. At rest the coils are off: the motors neither turn nor get warm. Raises
    :class:`MotorError` for speeds that are no numbers, once closed, and when the pins
    or the thread have failed.
    """

    Settings = StepperSettings
    what = "the stepper motors"
    thread = "steps the motors"

    def __init__(
        self,
        settings: StepperSettings | None = None,
        pacer: NewPacer = Pacer,
    ) -> None:
        super().__init__()
        self._settings = settings or StepperSettings()
        left = pin_names(self._settings.left_pins, 4, "left_pins")
        right = pin_names(self._settings.right_pins, 4, "right_pins")
        # The motors face away from each other: what is forwards for one is not for the other.
        self._sides = (_Side(left, 1), _Side(right, -1))
        self._step_ns = self._settings.step_ms * 1e6
        self._ramp_ns = self._settings.ramp_s * 1e9
        self._pins = Pins([*left, *right])
        self._start(pacer)

    def tick(self, now_ns: int) -> int | None:
        """Make the steps that are due; returns when the next one is, None at rest."""
        with self._lock:
            if self._closed:
                return None
            turning = [side for side in self._sides if side.target]
            for side in turning:
                if not side.speed:
                    side.ideal_ns = side.due_ns = now_ns
                if side.due_ns <= now_ns:
                    self._step(side, now_ns)
            return min((side.due_ns for side in turning), default=None)

    def _aim(self, left: float, right: float) -> bool:
        for side, target in zip(self._sides, self._settings.apply(left, right), strict=True):
            side.target = target
            if target == 0:
                self._release(side)
        return True

    def _rest(self) -> None:
        for side in self._sides:
            side.target = 0.0
        self._pins.low()

    def _let_go(self) -> None:
        self._pins.close()

    def _step(self, side: _Side, now_ns: int) -> None:
        side.speed = self._ramped(side.speed, side.target)
        side.phase += side.forwards if side.speed > 0 else -side.forwards
        self._energise(side, SEQUENCE[side.phase % len(SEQUENCE)])
        period_ns = self._step_ns / abs(side.speed)
        side.ideal_ns = max(side.ideal_ns, now_ns - _MOST_LATE * period_ns) + period_ns
        side.due_ns = round(max(side.ideal_ns, now_ns + _CATCH_UP * period_ns))

    def _ramped(self, speed: float, target: float) -> float:
        """The speed of the next step."""
        now, wanted = abs(speed), abs(target)
        if now <= PULL_IN and (speed * target <= 0 or wanted <= PULL_IN):
            return math.copysign(min(wanted, PULL_IN), target)
        if not self._ramp_ns:
            return target
        if speed * target < 0 or wanted < PULL_IN:
            wanted = PULL_IN
        most = self._step_ns / now / self._ramp_ns
        return math.copysign(approach(max(now, PULL_IN), wanted, most), speed)

    def _release(self, side: _Side) -> None:
        side.speed = 0.0
        self._energise(side, (0, 0, 0, 0))

    def _energise(self, side: _Side, coils: tuple[int, int, int, int]) -> None:
        for name, before, now in zip(side.names, side.coils, coils, strict=True):
            if before != now:
                self._pins.set(name, now)
        side.coils = coils
