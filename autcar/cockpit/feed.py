"""The newest picture, for whoever looks: encoded once, shared by recorder and viewers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from autcar.commands import Command


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame as JPEG with the command in force when it was exposed.

    ``source`` is who gave the command, None where nobody drove. ``sequence`` and
    ``time_ns`` are the frame's.
    """

    jpeg: bytes
    sequence: int
    time_ns: int
    command: Command
    source: str | None


class Feed:
    """Hands the newest shot from the camera's thread to any number of viewers.

    Publishing never waits: viewers are woken and take the newest when they can.
    ``missed`` counts the frames that the camera captured and nobody here saw.
    """

    def __init__(self) -> None:
        self.latest: Shot | None = None
        self.missed = 0
        self._times_ns: deque[int] = deque(maxlen=40)
        self._wakers: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    @property
    def fps(self) -> float:
        """Frames per second over the last 40 frames; 0 before the second one."""
        times = list(self._times_ns)
        span_ns = times[-1] - times[0] if len(times) > 1 else 0
        return (len(times) - 1) * 1e9 / span_ns if span_ns > 0 else 0.0

    def publish(self, shot: Shot) -> None:
        """Make ``shot`` the newest and wake the viewers."""
        before = self.latest
        if before is not None and shot.sequence > before.sequence:
            self.missed += shot.sequence - before.sequence - 1
        self.latest = shot
        self._times_ns.append(shot.time_ns)
        with self._lock:
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call ``wake`` from the camera's thread at each new shot; returns how to end it."""
        with self._lock:
            self._wakers.append(wake)

        def unsubscribe() -> None:
            with self._lock:
                self._wakers.remove(wake)

        return unsubscribe
