"""A hand at the helm, for inputs that say only what changed: terminal, gamepad, script, remote."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

from autcar.commands import STOP, Command
from autcar.errors import AutcarError
from autcar.helm import Helm

BEAT_S = 0.1


class Hand:
    """Holds the helm for ``driver`` and beats at 10 Hz with the command said last.

    A command is forgotten ``hold_s`` seconds after it was said, and the wheels rest;
    with None it holds until the next. Close it, or use it as a context manager.
    """

    def __init__(self, helm: Helm, driver: str, hold_s: float | None) -> None:
        self._helm = helm
        self._driver = driver
        self._hold_s = hold_s
        self._lock = threading.Lock()
        self._lease: int | None = None
        self._command = STOP
        self._until_s = 0.0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name=driver, daemon=True)
        self._thread.start()

    @property
    def drives(self) -> bool:
        """Whether this hand holds the helm."""
        with self._lock:
            return self._lease is not None and self._lease == self._helm_lease()

    def take(self, rests: int | None = None) -> None:
        """Take the helm. ``rests`` and what is raised are as in :meth:`~autcar.helm.Helm.take`."""
        with self._lock:
            self._command = STOP
            self._lease = self._helm.take(self._driver, rests=rests)

    def say(self, command: Command) -> bool:
        """Drive ``command`` from now on; returns whether this hand drives."""
        with self._lock:
            self._command = command
            self._until_s = time.monotonic() + (self._hold_s or float("inf"))
            return self._beat(command)

    def let_go(self) -> None:
        """Bring the wheels to rest and free the helm, if this hand holds it."""
        with self._lock:
            if self._lease is not None:
                self._helm.release(self._lease)
            self._lease = None
            self._command = STOP

    def close(self) -> None:
        """Let go and end. Closing twice is harmless."""
        self._ending.set()
        self.let_go()
        self._thread.join(2.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _helm_lease(self) -> int | None:
        state = self._helm.state
        return state.lease if state.driver == self._driver else None

    def _beat(self, command: Command) -> bool:
        if self._lease is None:
            return False
        if not self._helm.beat(self._lease, command):
            self._lease = None
        return self._lease is not None

    def _pause_s(self) -> float:
        """Until the next beat, or the end of the command where that comes first."""
        left_s = self._until_s - time.monotonic()
        return min(BEAT_S, left_s) if left_s > 0 else BEAT_S

    def _beat_on(self) -> None:
        while not self._ending.wait(self._pause_s()):
            with self._lock:
                if time.monotonic() >= self._until_s:
                    self._command = STOP
                self._beat(self._command)


def told(say: Callable[[str], None], act: Callable[[], object]) -> None:
    """Do what a person asked for; what cannot be done is said and ends nothing."""
    try:
        act()
    except (AutcarError, OSError) as error:
        say(str(error))
