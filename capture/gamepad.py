"""Drive by a gamepad that is plugged into the car, through the kernel's evdev.

Needs the package ``evdev``. A gamepad at the laptop or phone needs none of this:
the cockpit page reads it.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from autcar.commands import STOP, Command
from autcar.errors import ConfigError, RuntimeMissingError
from autcar.helm import Helm
from capture.errands import Errands
from capture.hand import Hand, told
from capture.recorder import Recorder

# Codes of linux/input-event-codes.h, so that the mapping needs no package.
EV_KEY, EV_ABS = 1, 3
BTN_SOUTH, BTN_EAST, BTN_START = 304, 305, 315
ABS_X, ABS_Z, ABS_RZ, ABS_GAS, ABS_BRAKE = 0, 2, 5, 9, 10


@dataclass
class Sticks:
    """What the sticks and triggers say. ``ranges`` gives each axis its least and most."""

    ranges: Mapping[int, tuple[int, int]]
    side: float = 0.0
    ahead: float = 0.0
    back: float = 0.0

    def move(self, axis: int, value: int) -> None:
        """Hear of one axis."""
        low, high = self.ranges.get(axis, (0, 255))
        share = (value - low) / max(1, high - low)
        if axis == ABS_X:
            self.side = 2 * share - 1
        elif axis in (ABS_RZ, ABS_GAS):
            self.ahead = share
        elif axis in (ABS_Z, ABS_BRAKE):
            self.back = share

    @property
    def command(self) -> Command:
        """The nearest of the 12 commands; triggers that are let go rest the wheels."""
        push = self.ahead - self.back
        if abs(push) < 0.1:
            return STOP
        direction = "forward" if push > 0 else "backwards"
        if abs(self.side) < 0.2:
            return Command("move", "fast" if push > 0.85 else "medium", direction)
        turn = "left" if self.side < 0 else "right"
        return Command(turn, "medium" if abs(self.side) > 0.65 else "light", direction)


class Gamepad:
    """Reads a gamepad until closed. ``device`` is a path such as /dev/input/event3, or ``auto``.

    South (A) takes the helm, east (B) is STOP, start records. A gamepad that goes away
    stops the car. Raises :class:`RuntimeMissingError` and :class:`ConfigError`.
    """

    def __init__(
        self, helm: Helm, recorder: Recorder, device: str, say: Callable[[str], None] = print
    ) -> None:
        self._device = _open(device)
        self._helm = helm
        self._recorder = recorder
        self._say = say
        ranges = dict(self._device.capabilities().get(EV_ABS, []))
        self._sticks = Sticks({axis: (info.min, info.max) for axis, info in ranges.items()})
        self._hand = Hand(helm, "gamepad", None)
        self._errands = Errands(say)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._read, name="gamepad", daemon=True)
        self._thread.start()
        say(f"gamepad: {self._device.name}; A takes the wheel, B is STOP, Start records")

    def close(self) -> None:
        """Let go of the helm and of the device."""
        self._ending.set()
        self._thread.join(1.0)
        self._hand.close()
        self._errands.close()
        self._device.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _read(self) -> None:
        try:
            while not self._ending.is_set():
                if select.select([self._device.fd], [], [], 0.1)[0]:
                    for event in self._device.read():
                        self._hear(event.type, event.code, event.value)
        except OSError:
            self._hand.let_go()
            self._say("the gamepad is gone; the car rests")

    def _hear(self, kind: int, code: int, value: int) -> None:
        if kind == EV_ABS:
            before = self._sticks.command
            self._sticks.move(code, value)
            if self._sticks.command != before:
                self._hand.say(self._sticks.command)
        elif kind == EV_KEY and value == 1:
            if code == BTN_EAST:
                self._helm.stop()
            elif code == BTN_SOUTH:
                told(self._say, self._hand.take)
            elif code == BTN_START:
                self._errands.ask(self._recorder.toggle)


def _open(device: str) -> Any:
    try:
        import evdev
    except ImportError:
        raise RuntimeMissingError(
            "a gamepad at the car needs evdev; install it with `pip install evdev`, or plug the "
            "gamepad into the computer that shows the cockpit"
        ) from None
    if device != "auto":
        try:
            return evdev.InputDevice(device)
        except OSError as error:
            raise ConfigError(
                f"the gamepad {device} cannot be opened: {error.strerror}; try --gamepad auto"
            ) from error
    for path in evdev.list_devices():
        found = evdev.InputDevice(path)
        if BTN_SOUTH in found.capabilities().get(EV_KEY, []):
            return found
        found.close()
    raise ConfigError("no gamepad is there; plug one in, or pair it with bluetoothctl")
