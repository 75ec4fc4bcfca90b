"""A person takes the wheel of a car that a pilot drives, and hands it back on request."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from autcar.errors import MotorError
from autcar.helm import Helm, HelmError
from autcar.safety import Reason
from autcar.wheels import Wheels
from edge.loop import Loop


class SharedWheels:
    """Wheels that a driving loop and a person's helm may use from threads of their own."""

    def __init__(self, wheels: Wheels) -> None:
        self._wheels = wheels
        self._lock = threading.RLock()

    @property
    def at_rest_because(self) -> str | None:
        """None while drive commands are accepted."""
        return self._wheels.at_rest_because

    def arm(self) -> None:
        """Accept drive commands from now on."""
        with self._lock:
            self._wheels.arm()

    def drive(self, left: float, right: float, frame_time_ns: int, expires_ns: int) -> None:
        """Set the wheel speeds, −1…1, until ``expires_ns`` (monotonic ns) at the latest."""
        with self._lock:
            self._wheels.drive(left, right, frame_time_ns, expires_ns)

    def stop(self) -> None:
        """Bring the wheels to rest."""
        with self._lock:
            self._wheels.stop()

    def close(self) -> None:
        """Bring the wheels to rest and release the motors."""
        with self._lock:
            self._wheels.close()


class Takeover(Helm):
    """The helm of a car that ``loop`` drives, on the same (shared) ``wheels``.

    Taking it latches the loop's gate before the person's first command, so never do two
    drive at once; what is recorded meanwhile has the source ``takeover``. Whoever lets
    go, or is lost, leaves the car at rest: only :meth:`hand_back` lets the pilot go on.
    """

    def __init__(self, loop: Loop, wheels: SharedWheels, **settings: Any) -> None:
        super().__init__(wheels, **settings)
        self._loop = loop

    def take(self, driver: str, source: str = "takeover", *, rests: int | None = None) -> int:
        """Take over from the pilot at once; see :meth:`Helm.take`."""
        with self._lock:
            if self._driver in (None, driver):
                self._loop.stop(Reason.TAKEN_OVER)
            return super().take(driver, source, rests=rests)

    def stop(self, reason: Reason = Reason.STOP_PRESSED) -> None:
        """Bring the wheels to rest, whoever drives: person or pilot."""
        with self._lock:
            # By then another guardian has brought the wheels to rest.
            with suppress(MotorError):
                self._loop.stop(reason)
            super().stop(reason)

    def hand_back(self) -> None:
        """Let the pilot drive from the next fresh frame on.

        Raises :class:`HelmError` while a person drives. Leases of before are void.
        """
        with self._lock:
            if self._driver is not None:
                raise HelmError(f"{self._driver} drives; let go of the wheel first")
            self._lease += 1
            self._loop.arm()
