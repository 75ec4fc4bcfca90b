"""DC motors on H-bridges: L298N, TB6612, DRV8833, and phase/enable boards.

=============  =============================  ==========================================
``bridge``     pins of each motor, in order   rest
=============  =============================  ==========================================
L298N          EN (take its jumper off) IN1   EN low, both inputs low: the motor coasts
               IN2
TB6612         PWM IN1 IN2                    the same; ``standby_pin`` is STBY
DRV8833        IN1 IN2, both pulsed           both low: coasts; ``standby_pin`` is SLEEP
phase-enable   PHASE ENABLE                   ENABLE low: brakes or coasts, as the board does
=============  =============================  ==========================================

The default pins, GPIO12 16 20 (BOARD 32 36 38) and GPIO13 19 26 (BOARD 33 35 37), are
pulled down from power-on; GPIO0…GPIO8 are pulled up and would start a motor.
"""

from __future__ import annotations

from dataclasses import dataclass

from autcar.drivers import setting
from autcar.errors import ConfigError
from autcar.motors.gpio import Pins, pin_names
from autcar.motors.paced import NewPacer, PacedMotors
from autcar.motors.pacer import Pacer
from autcar.motors.shape import Shape, approach

PIN_COUNT = {"L298N": 3, "TB6612": 3, "DRV8833": 2, "phase-enable": 2}
RAMP_STEP_NS = 20_000_000


@dataclass(frozen=True)
class BridgeSettings(Shape):
    """Pins as ``GPIOn`` or ``BOARDn``, in the order of the table above."""

    bridge: str = setting("L298N", "L298N, TB6612, DRV8833 or phase-enable")
    left_pins: str = setting("GPIO12 GPIO16 GPIO20", "EN IN1 IN2; DRV8833: IN1 IN2; PHASE ENABLE")
    right_pins: str = setting("GPIO13 GPIO19 GPIO26", "the same of the right motor")
    standby_pin: str = setting("", "STBY or SLEEP, where it is wired: low while at rest")
    hertz: float = setting(500.0, "pulses a second", 20, 5000)


class BridgeMotors(PacedMotors):
    """Drives two DC motors, or two sides of them. Speeds change along the ramp; rest is at once.

    Raises :class:`ConfigError` for a bridge or a number of pins that does not fit,
    :class:`MotorError` for speeds that are no numbers, once closed, and when pins fail.
    """

    Settings = BridgeSettings

    def __init__(
        self,
        settings: BridgeSettings | None = None,
        pacer: NewPacer = Pacer,
    ) -> None:
        super().__init__()
        self._settings = settings = settings or BridgeSettings()
        if settings.bridge not in PIN_COUNT:
            raise ConfigError(
                f"[motors] bridge {settings.bridge!r} is not known; there are "
                f"{', '.join(PIN_COUNT)}"
            )
        count = PIN_COUNT[settings.bridge]
        self._sides = (
            pin_names(settings.left_pins, count, "left_pins"),
            pin_names(settings.right_pins, count, "right_pins"),
        )
        switched, pulsed = self._kinds()
        self._standby = settings.standby_pin
        self._target = [0.0, 0.0]
        self._speed = [0.0, 0.0]
        self._since_ns: int | None = None
        self._pins = Pins(
            [*switched, *([self._standby] if self._standby else [])], pulsed, settings.hertz
        )
        self._start(pacer)

    def tick(self, now_ns: int) -> int | None:
        """Take the speeds one step along the ramp; returns when the next is due."""
        with self._lock:
            if self._closed or self._speed == self._target:
                self._since_ns = None
                return None
            passed_ns = RAMP_STEP_NS if self._since_ns is None else now_ns - self._since_ns
            self._since_ns = now_ns
            ramp_ns = self._settings.ramp_s * 1e9
            most = passed_ns / ramp_ns if ramp_ns else 2.0
            self._speed = [
                approach(speed, target, most) if target else 0.0
                for speed, target in zip(self._speed, self._target, strict=True)
            ]
            if self._standby:
                self._pins.set(self._standby, 1)
            for names, speed in zip(self._sides, self._speed, strict=True):
                self._set(names, speed)
            return now_ns + RAMP_STEP_NS

    def _aim(self, left: float, right: float) -> bool:
        self._target = [*self._settings.apply(left, right)]
        if any(self._target):
            return True
        self._rest()
        return False

    def _rest(self) -> None:
        self._speed = [0.0, 0.0]
        self._since_ns = None
        self._pins.low()

    def _let_go(self) -> None:
        self._pins.close()

    def _kinds(self) -> tuple[list[str], list[str]]:
        """The pins that are switched, and those that are pulsed."""
        match self._settings.bridge:
            case "DRV8833":
                return [], [name for side in self._sides for name in side]
            case "phase-enable":
                return [side[0] for side in self._sides], [side[1] for side in self._sides]
            case _:
                return [name for side in self._sides for name in side[1:]], [
                    side[0] for side in self._sides
                ]

    def _set(self, names: list[str], speed: float) -> None:
        forwards, backwards, duty = speed > 0, speed < 0, abs(speed)
        pins = self._pins
        match self._settings.bridge:
            case "DRV8833":
                # The other input first: both high would brake.
                first, second = (names[1], names[0]) if forwards else (names[0], names[1])
                pins.set(first, 0)
                pins.set(second, duty)
            case "phase-enable":
                pins.set(names[0], backwards)
                pins.set(names[1], duty)
            case _:
                pins.set(names[1], forwards)
                pins.set(names[2], backwards)
                pins.set(names[0], duty)
