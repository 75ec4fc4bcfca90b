"""The pins of a Raspberry Pi, through gpiozero: the one file of autcar that imports it.

Pins are named as gpiozero names them: ``GPIO17`` (the Broadcom number, BCM) or
``BOARD11`` (the place on the 40-pin header). https://pinout.xyz shows both.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from autcar.errors import ConfigError, MotorError


def pin_names(text: str, count: int, key: str) -> list[str]:
    """The pins in a text such as ``"BOARD11 BOARD12"``. :class:`ConfigError` unless ``count``."""
    names = text.replace(",", " ").split()
    if len(names) != count:
        raise ConfigError(
            f"[motors] {key} = {text!r} names {len(names)} pins, expected {count}; "
            f"write them as in {key} = {' '.join(f'GPIO{5 + n}' for n in range(count))!r}"
        )
    return names


class Pins:
    """Output pins that are low from the moment they are open, and when they are let go.

    ``switched`` pins are 0 or 1. ``pulsed`` pins take any duty from 0 to 1 at ``hertz``,
    by lgpio's software PWM (whole percents); a pulsed pin at 0 makes no pulses at all.
    Raises :class:`MotorError` when the pins cannot be had, naming what to type.
    """

    def __init__(
        self, switched: Iterable[str], pulsed: Iterable[str] = (), hertz: float = 0.0
    ) -> None:
        self._hertz = hertz
        self._factory = _open_factory()
        self._pins: dict[str, Any] = {}
        self._pulsed = set(pulsed)
        self._duty = dict.fromkeys(self._pulsed, 0.0)
        try:
            taken: dict[Any, str] = {}
            for name in [*switched, *self._pulsed]:
                pin = self._factory.pin(name)
                if pin in taken:
                    raise ConfigError(
                        f"[motors] pin {name} is used twice, also as {taken[pin]}; "
                        f"see https://pinout.xyz"
                    )
                taken[pin] = name
                pin.output_with_state(0)
                self._pins[name] = pin
        except BaseException as error:
            self.close()
            if isinstance(error, ConfigError) or not isinstance(error, Exception):
                raise
            raise _pin_error(name, error) from error

    def set(self, name: str, value: float) -> None:
        """Set a pin: 0 or 1, or a duty between them where it is pulsed."""
        pin = self._pins[name]
        try:
            if name in self._pulsed:
                self._pulse(name, pin, value)
            else:
                pin.state = 1 if value else 0
        except Exception as error:
            raise _pin_error(name, error) from error

    def low(self) -> None:
        """Drive every pin low. Each is tried, whatever befalls another."""
        failed = None
        for name in self._pins:
            try:
                self.set(name, 0)
            except MotorError as error:
                failed = error
        if failed is not None:
            raise failed

    def close(self) -> None:
        """Drive every pin low and let go. Closing twice is harmless.

        The lines are let go of while they are low: closed one by one, as gpiozero closes
        them, they would become inputs that float, and a floating input of a motor
        driver may well read as high. A Raspberry Pi's kernel holds them low
        afterwards, unless told not to with ``dtparam=strict_gpiod``.
        """
        factory, self._factory = self._factory, None
        if factory is None:
            return
        try:
            self.low()
        finally:
            self._pins.clear()
            factory.pins.clear()
            factory.close()
            _forget(factory)

    def _pulse(self, name: str, pin: Any, duty: float) -> None:
        if duty <= 0:
            # lgpio ends pulses at whatever level they have: the pin must be set low besides.
            if self._duty[name]:
                pin.frequency = None
            pin.state = 0
        else:
            if not self._duty[name]:
                pin.frequency = self._hertz
            pin.state = min(duty, 1.0)
        self._duty[name] = duty


def _open_factory() -> Any:
    # lgpio makes a file in its working folder, which a service's user may not write to.
    os.environ.setdefault("LG_WD", os.environ.get("RUNTIME_DIRECTORY", "/tmp"))
    try:
        from gpiozero import Device
    except ImportError as error:
        raise MotorError(
            "gpiozero is not installed; on a Raspberry Pi type: "
            "sudo apt install python3-gpiozero python3-lgpio"
        ) from error
    if Device.pin_factory is None and "GPIOZERO_PIN_FACTORY" in os.environ:
        Device.ensure_pin_factory()
    if Device.pin_factory is not None:
        return Device.pin_factory
    try:
        # gpiozero would fall back to slower ways one by one, and hide why.
        from gpiozero.pins.lgpio import LGPIOFactory
    except (ImportError, AttributeError) as error:
        raise MotorError(
            "lgpio is not installed, or only its empty placeholder is; on a Raspberry Pi type: "
            "sudo apt install python3-lgpio"
        ) from error
    try:
        return LGPIOFactory()
    except Exception as error:
        raise MotorError(f"the pins cannot be reached: {error}; {_chip_advice()}") from error


def _forget(factory: Any) -> None:
    from gpiozero import Device

    if Device.pin_factory is factory:
        Device.pin_factory = None


def _chip_advice() -> str:
    chips = [f"/dev/gpiochip{number}" for number in (0, 4)]
    there = [chip for chip in chips if os.path.exists(chip)]  # noqa: PTH110 the guardian is small
    if not there:
        return "this machine has no /dev/gpiochip0: is it a Raspberry Pi?"
    if not any(os.access(chip, os.R_OK | os.W_OK) for chip in there):
        return f"{there[0]} is not yours to use: sudo usermod -aG gpio $USER, then log in again"
    return "`autcar doctor` looks for the cause"


def _pin_error(name: str, error: Exception) -> MotorError:
    text = str(error)
    if "busy" in text.lower():
        return MotorError(
            f"pin {name} is in use by another program: {text}; `gpioinfo` names it "
            f"(sudo apt install gpiod), and `autcar doctor` tells whether a service of autcar runs"
        )
    return MotorError(f"pin {name} cannot be driven: {text}; check [motors] in car.toml")
