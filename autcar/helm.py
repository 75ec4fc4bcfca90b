"""The helm: who drives by hand, until when, and what the wheels were told at any moment.

One driver holds the helm at a time; STOP is everybody's. Each beat of the driver
is a short lease on the wheels, so whatever hangs, here or on the way, the guardian
stops the car. Anything wrong latches STOP; going on takes :meth:`Helm.take`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from autcar.commands import STOP, Command
from autcar.errors import AutcarError, MotorError
from autcar.safety import MS, Limits, Reason
from autcar.wheels import Wheels

_HISTORY = 4096
"""Commands remembered; a frame is labelled within a fraction of a second of its exposure."""


class HelmError(AutcarError, PermissionError):
    """The helm cannot be taken now; the message says why and what to do."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


@dataclass(frozen=True, slots=True)
class HelmState:
    """What there is to know of the helm.

    ``driver`` drives with ``command`` in force; both are None while the wheels are at
    rest because of ``reason``. ``lease`` is the number of the newest lease, ``rests`` how
    often the wheels were brought to rest.
    """

    driver: str | None
    lease: int
    command: Command | None
    reason: str | None
    rests: int


@dataclass(slots=True)
class _Span:
    """A command that was in force from ``start_ns`` until ``end_ns``."""

    start_ns: int
    end_ns: int
    command: Command
    source: str


class Helm:
    """Passes a person's commands to ``wheels`` as short leases. Safe to use from any thread.

    A driver that was not heard for ``link_ms`` is gone, and so is one without a camera
    picture younger than ``limits.frame_age_ms``, unless ``blind`` is allowed. ``clock``
    is the monotonic time in ns that frames are stamped with.
    """

    def __init__(
        self,
        wheels: Wheels,
        *,
        link_ms: float = 400.0,
        limits: Limits | None = None,
        blind: bool = False,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wheels = wheels
        self._link_ns = int(link_ms * MS)
        self._limits = limits or Limits()
        self._blind = blind
        self._clock = clock
        self._lock = threading.RLock()
        self._driver: str | None = None
        self._lease = 0
        self._heard_ns = 0
        self._frame_ns: int | None = None
        self._reason: str | None = Reason.DISARMED.value
        self._rests = 0
        self._spans: deque[_Span] = deque(maxlen=_HISTORY)

    @property
    def state(self) -> HelmState:
        """A snapshot."""
        with self._lock:
            command = self._spans[-1].command if self._driver is not None else None
            return HelmState(self._driver, self._lease, command, self._reason, self._rests)

    def take(self, driver: str, source: str = "human", *, rests: int | None = None) -> int:
        """Give ``driver`` the helm, wheels at rest, and return the number of the lease.

        ``source`` is what the recording calls it. Raises :class:`HelmError` when somebody
        else drives, the camera shows nothing fresh, or the wheels were brought to rest since
        there were ``rests`` of them; :class:`MotorError` when the motors cannot be reached.
        """
        self.tick()
        with self._lock:
            if self._driver not in (None, driver):
                raise HelmError(f"{self._driver} drives; press STOP first, then take the wheel")
            if rests not in (None, self._rests):
                raise HelmError("somebody stopped the car; say stop, then drive")
            now_ns = self._clock()
            if not self._sees(now_ns):
                raise HelmError("the camera gives no picture; look at the camera, then try again")
            try:
                self._wheels.arm()
            except MotorError:
                self._rest(Reason.GUARDIAN_LOST.value)
                raise
            self._close_span(now_ns)
            self._driver = driver
            self._lease += 1
            self._heard_ns = now_ns
            self._reason = None
            self._spans.append(_Span(now_ns, now_ns + self._link_ns, STOP, source))
            return self._lease

    def beat(self, lease: int, command: Command) -> bool:
        """Hear from the holder of ``lease``: ``command`` is in force from now on.

        Returns whether it was accepted; an old lease never is, and stops nothing.
        """
        with self._lock:
            if self._driver is None or lease != self._lease:
                return False
            self.tick()
            if self._driver is None:
                return False
            now_ns = self._clock()
            expires_ns = now_ns + self._link_ns
            left, right = self._limits.bounded(*command.wheels)
            try:
                self._wheels.drive(left, right, self._frame_ns or now_ns, expires_ns)
            except MotorError:
                self._rest(Reason.GUARDIAN_LOST.value)
                return False
            if self._wheels.at_rest_because is not None:
                self.stop(Reason.EXPIRED)
                return False
            self._heard_ns = now_ns
            span = self._spans[-1]
            if command == span.command:
                span.end_ns = expires_ns
            else:
                self._close_span(now_ns)
                self._spans.append(_Span(now_ns, expires_ns, command, span.source))
            return True

    def stop(self, reason: Reason = Reason.STOP_PRESSED) -> None:
        """Bring the wheels to rest now, whoever asks. Taking the helm is needed to go on."""
        with self._lock:
            pressed = reason is Reason.STOP_PRESSED
            try:
                self._wheels.stop()
            except MotorError:
                reason = Reason.GUARDIAN_LOST
            if self._driver is not None or pressed:
                self._rest(reason.value)

    def release(self, lease: int) -> None:
        """The holder of ``lease`` lets go: the wheels rest and the helm is free."""
        with self._lock:
            if self._driver is not None and lease == self._lease:
                self.stop(Reason.DISARMED)

    def tick(self) -> None:
        """Notice what nobody told: a silent driver, a camera that gives nothing."""
        with self._lock:
            if self._driver is None:
                return
            now_ns = self._clock()
            if now_ns - self._heard_ns > self._link_ns:
                self.stop(Reason.LINK_LOST)
            elif not self._sees(now_ns):
                self.stop(Reason.CAMERA_STALLED)

    def saw(self, frame_time_ns: int) -> None:
        """Hear of a new frame."""
        with self._lock:
            self._frame_ns = frame_time_ns

    def in_force(self, time_ns: int) -> tuple[Command, str | None]:
        """The command in force at ``time_ns`` and its source, None where nobody drove."""
        with self._lock:
            for span in reversed(self._spans):
                if span.start_ns <= time_ns:
                    return (span.command, span.source) if time_ns < span.end_ns else (STOP, None)
        return STOP, None

    def _sees(self, now_ns: int) -> bool:
        if self._blind:
            return True
        age_ms = self._limits.frame_age_ms
        return self._frame_ns is not None and now_ns - self._frame_ns <= age_ms * MS

    def _rest(self, reason: str) -> None:
        self._close_span(self._clock())
        self._driver = None
        self._reason = reason
        self._rests += 1

    def _close_span(self, now_ns: int) -> None:
        # Where the lease ended before, the guardian had stopped the wheels by then.
        if self._spans:
            self._spans[-1].end_ns = min(self._spans[-1].end_ns, now_ns)
