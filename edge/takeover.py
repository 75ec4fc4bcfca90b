"""A person takes the wheel of a car that a pilot drives, and hands it back on request."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from autcar.errors import MotorError
from autcar.helm import Helm, HelmError
from autcar.safety import Reason
from autcar.wheels import Wheels
from edge.loop import Loop


class Takeover(Helm):
    """The helm of a car that ``loop`` drives, on the same ``wheels``.

    Taking it latches the loop's gate before the person's first command, so never do two
    drive at once; what is recorded meanwhile has the source ``takeover``. Whoever lets
    go, or is lost, leaves the car at rest: only :meth:`hand_back` lets the pilot go on.
    """

    def __init__(self, loop: Loop, wheels: Wheels, **settings: Any) -> None:
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
