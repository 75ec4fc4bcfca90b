"""A model car with a steering servo and an electronic speed controller (ESC).

Both want a pulse of 1 to 2 ms, 50 times a second. ``output`` says what makes it:

- ``hardware``: the Pi's own PWM, on GPIO12 13 18 19 (BOARD 32 33 12 35), after
  ``dtoverlay=pwm-2chan,pin=12,func=4,pin2=13,func2=4`` in ``/boot/firmware/config.txt``
  (pins 18 and 19: ``func=2``). GPIO12 and 18 share a channel before the Pi 5.
- ``pca9685``: that chip on I²C (BOARD 3 and 5; ``sudo raspi-config nonint do_i2c 0``),
  4.9 µs fine.

Software PWM is not offered: lgpio gives a servo 6 positions over its whole way.

At rest the ESC gets its neutral pulse, and none once closed. These pulses need no
program to go on: what a killed one leaves is ended by the next that opens them, and by
the service's ``ExecStopPost``. Set the ESC to forward/reverse without brake: with
brake, its first touch of reverse is not obeyed.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from autcar.drivers import setting
from autcar.errors import ConfigError, MotorError
from autcar.motors.paced import NewPacer, PacedMotors
from autcar.motors.pacer import Pacer
from autcar.motors.shape import approach

HERTZ = 50
RAMP_STEP_NS = 20_000_000

# Channel of each pin, by the end of the name of the kernel's device.
_CHANNELS = {
    "1f00098000.pwm": {"GPIO12": 0, "GPIO13": 1, "GPIO18": 2, "GPIO19": 3},  # Pi 5
    "20c000.pwm": {"GPIO12": 0, "GPIO13": 1, "GPIO18": 0, "GPIO19": 1},  # before
}
_I2C_SLAVE = 0x0703
_MODE1, _MODE2, _FIRST_LED, _ALL_OFF_HIGH, _PRESCALE = 0x00, 0x01, 0x06, 0xFD, 0xFE
_OSCILLATOR_HZ = 25_000_000


@dataclass(frozen=True)
class ServoSettings:
    """Pulse lengths in µs; ``autcar calibrate`` finds them."""

    output: str = setting("hardware", "hardware (the Pi's own PWM) or pca9685 (I²C)")
    steering_pin: str = setting("GPIO12", "hardware: GPIO12, 13, 18 or 19")
    throttle_pin: str = setting("GPIO13", "hardware: GPIO12, 13, 18 or 19")
    steering_channel: int = setting(1, "pca9685", 0, 15)
    throttle_channel: int = setting(0, "pca9685", 0, 15)
    i2c_bus: int = setting(1, "pca9685: 1 is /dev/i2c-1", 0, 30)
    address: int = setting(0x40, "pca9685: 64 is 0x40", 3, 119)
    centre_us: float = setting(1500.0, "the servo's pulse when driving straight", 800, 2200)
    span_us: float = setting(400.0, "from straight to fully left or right", 50, 800)
    neutral_us: float = setting(1500.0, "the ESC's pulse at rest", 1000, 2000)
    throttle_us: float = setting(200.0, "from rest to full speed: 500 is all it has", 20, 800)
    invert_steering: bool = setting(False, "the front wheels turn the wrong way")
    invert_throttle: bool = setting(False, "the car drives the wrong way")
    dead_band: float = setting(0.0, "the least throttle, 0…1, at which the car moves", 0, 0.9)
    steering: float = setting(1.5, "how sharply wheel speeds that differ steer", 0.1, 5)
    ramp_s: float = setting(0.3, "seconds from rest to full speed; stopping is at once", 0, 5)


class Output(Protocol):
    """What makes the pulses."""

    def pulse(self, steering_us: float, throttle_us: float) -> None:
        """Set both pulses."""

    def close(self) -> None:
        """End the pulses."""


class ServoMotors(PacedMotors):
    """Turns wheel speeds into an angle and a throttle, as their mean and their difference.

    Raises :class:`ConfigError` for an output that is not known and :class:`MotorError`
    when it cannot be had, for speeds that are no numbers, and once closed.
    """

    Settings = ServoSettings
    what = "the servo and the ESC"
    thread = "ramps the ESC"

    def __init__(
        self,
        settings: ServoSettings | None = None,
        pacer: NewPacer = Pacer,
        output: Output | None = None,
    ) -> None:
        super().__init__()
        self._settings = settings = settings or ServoSettings()
        self._angle = self._throttle = self._target = 0.0
        self._since_ns: int | None = None
        self._output = output or _open_output(settings)
        try:
            self._rest()
        except BaseException:
            self._let_go()
            raise
        self._start(pacer)

    def tick(self, now_ns: int) -> int | None:
        """Take the throttle one step along the ramp; returns when the next is due."""
        with self._lock:
            if self._closed or self._target == 0:
                return None
            passed_ns = RAMP_STEP_NS if self._since_ns is None else now_ns - self._since_ns
            ramp_ns = self._settings.ramp_s * 1e9
            most = passed_ns / ramp_ns if ramp_ns else 2.0
            self._throttle = approach(self._throttle, self._target, most)
            self._send(self._angle, self._throttle)
            ramping = self._throttle != self._target
            self._since_ns = now_ns if ramping else None
            return now_ns + RAMP_STEP_NS if ramping else None

    def _aim(self, left: float, right: float) -> bool:
        total = abs(left + right)
        angle = self._settings.steering * (right - left) / total if total else 0.0
        if left + right < 0:
            angle = -angle
        self._angle = min(max(angle, -1.0), 1.0)
        self._target = (left + right) / 2
        if self._target:
            return True
        self._throttle, self._since_ns = 0.0, None
        self._send(self._angle, 0.0)
        return False

    def _rest(self) -> None:
        self._send(0.0, 0.0)

    def _let_go(self) -> None:
        self._output.close()

    def _send(self, angle: float, throttle: float) -> None:
        """``angle`` −1…1, above 0 to the left; ``throttle`` −1…1."""
        settings = self._settings
        if throttle:
            band = settings.dead_band if throttle > 0 else -settings.dead_band
            throttle = band + (1 - settings.dead_band) * throttle
        steer = settings.span_us * (angle if settings.invert_steering else -angle)
        push = settings.throttle_us * (-throttle if settings.invert_throttle else throttle)
        self._output.pulse(settings.centre_us + steer, settings.neutral_us + push)


def _open_output(settings: ServoSettings) -> Output:
    if settings.output == "hardware":
        return HardwarePwm(settings.steering_pin, settings.throttle_pin)
    if settings.output == "pca9685":
        channels = settings.steering_channel, settings.throttle_channel
        return Pca9685(f"/dev/i2c-{settings.i2c_bus}", settings.address, *channels)
    raise ConfigError(
        f"[motors] output {settings.output!r} is not known; there are hardware, pca9685"
    )


class HardwarePwm:
    """Two channels of the Pi's own PWM, through the kernel's ``/sys/class/pwm``."""

    def __init__(self, steering: str, throttle: str, folder: str | None = None) -> None:
        self._folder = folder or os.environ.get("AUTCAR_PWM", "/sys/class/pwm")
        chip, channels = self._find_chip()
        for pin in (steering, throttle):
            if pin not in channels:
                raise ConfigError(
                    f"[motors] {pin} has no hardware PWM; use two of {', '.join(channels)}"
                )
        if channels[steering] == channels[throttle]:
            raise ConfigError(
                f"[motors] {steering} and {throttle} share one PWM channel; use GPIO12 and GPIO13"
            )
        # The throttle first, here and below: a steering that fails must not leave it on.
        self._channels = [self._open(chip, channels[pin]) for pin in (throttle, steering)]
        self._sent: list[int | None] = [None, None]

    def pulse(self, steering_us: float, throttle_us: float) -> None:
        """Set both pulses."""
        for index, length_us in enumerate((throttle_us, steering_us)):
            length_ns = round(length_us * 1000)
            if self._sent[index] != length_ns:
                channel = self._channels[index]
                _write(f"{channel}/duty_cycle", length_ns)
                if self._sent[index] is None:
                    _write(f"{channel}/enable", 1)
                self._sent[index] = length_ns

    def close(self) -> None:
        """End the pulses: the pins are low. Each is tried, whatever befalls the other."""
        self._sent = [None, None]
        failed = None
        for channel in self._channels:
            try:
                _write(f"{channel}/enable", 0)
            except MotorError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def _find_chip(self) -> tuple[str, dict[str, int]]:
        with suppress(FileNotFoundError):
            for name in sorted(os.listdir(self._folder)):  # noqa: PTH208 the guardian is small
                chip = f"{self._folder}/{name}"
                device = os.path.realpath(f"{chip}/device")
                for ending, channels in _CHANNELS.items():
                    if device.endswith(ending):
                        return chip, channels
        raise MotorError(
            f"there is no hardware PWM in {self._folder}; add "
            f"dtoverlay=pwm-2chan,pin=12,func=4,pin2=13,func2=4 to /boot/firmware/config.txt "
            f"and restart"
        )

    def _open(self, chip: str, number: int) -> str:
        channel = f"{chip}/pwm{number}"
        if not os.path.isdir(channel):  # noqa: PTH112 the guardian is small
            _write(f"{chip}/export", number)
        # A rule gives the new files to the group gpio a moment after they appear.
        patience_s = time.monotonic() + 1.0
        while not os.access(f"{channel}/period", os.W_OK) and time.monotonic() < patience_s:
            time.sleep(0.01)
        _write(f"{channel}/enable", 0, quiet=True)
        _write(f"{channel}/duty_cycle", 0, quiet=True)
        _write(f"{channel}/period", round(1e9 / HERTZ))
        return channel


def _write(path: str, value: int, *, quiet: bool = False) -> None:
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(str(value))
    except PermissionError as error:
        raise MotorError(
            f"{path} is not yours to write: sudo usermod -aG gpio $USER, then log in again"
        ) from error
    except OSError as error:
        # A channel without a period refuses to be disabled, and a new one has none.
        if not quiet:
            raise MotorError(f"{path} refused {value}: {error}; check [motors]") from error


class Pca9685:
    """Two channels of a PCA9685 on I²C. ``device`` is such as ``/dev/i2c-1``."""

    def __init__(self, device: str, address: int, steering: int, throttle: int) -> None:
        import fcntl

        self._where = f"the PCA9685 at 0x{address:02x} of {device}"
        self._channels = throttle, steering  # as above
        try:
            self._file = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        except PermissionError as error:
            raise MotorError(
                f"{device} is not yours to use: sudo usermod -aG i2c $USER, then log in again"
            ) from error
        except OSError as error:
            raise MotorError(
                f"{device}: {error.strerror}; switch I²C on with: "
                f"sudo raspi-config nonint do_i2c 0"
            ) from error
        try:
            fcntl.ioctl(self._file, _I2C_SLAVE, address)
            # The frequency can only be set while the oscillator sleeps.
            self._send(_MODE1, 0x10)
            self._send(_ALL_OFF_HIGH, 0x10)
            self._send(_PRESCALE, round(_OSCILLATOR_HZ / 4096 / HERTZ) - 1)
            self._send(_MODE2, 0x04)
            self._send(_MODE1, 0x20)
            time.sleep(0.001)
        except BaseException:
            os.close(self._file)
            raise

    def pulse(self, steering_us: float, throttle_us: float) -> None:
        """Set both pulses."""
        for channel, length_us in zip(self._channels, (throttle_us, steering_us), strict=True):
            ticks = round(length_us * HERTZ * 4096 / 1e6)
            self._send(_FIRST_LED + 4 * channel, 0, 0, ticks & 0xFF, ticks >> 8)

    def close(self) -> None:
        """End the pulses of all channels. Closing twice is harmless."""
        file, self._file = self._file, -1
        if file >= 0:
            try:
                os.write(file, bytes((_ALL_OFF_HIGH, 0x10)))
            finally:
                os.close(file)

    def _send(self, register: int, *values: int) -> None:
        try:
            os.write(self._file, bytes((register, *values)))
        except OSError as error:
            raise MotorError(
                f"{self._where} does not answer: {error}; check its wires, `i2cdetect -y 1` "
                f"shows what is there"
            ) from error
