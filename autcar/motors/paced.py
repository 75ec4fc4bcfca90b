"""What motor drivers have in common whose speeds a thread of their own changes."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable

from autcar.errors import MotorError
from autcar.motors.base import Motors
from autcar.motors.pacer import Pacer
from autcar.motors.shape import checked

NewPacer = Callable[[Callable[[int], int | None]], Pacer]


class PacedMotors(Motors):
    """A driver says how to aim, to tick, to rest and to let go; when, and in which order, is here.

    ``what`` and ``thread`` are the driver's words for its motors and for what its thread
    does. :meth:`_start` comes last in its constructor.
    """

    what = "the motors"
    thread = "ramps the motors"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._pacer: Pacer

    def _start(self, pacer: NewPacer) -> None:
        try:
            self._pacer = pacer(self.tick)
        except BaseException:
            self._let_go()
            raise

    def drive(self, left: float, right: float) -> None:
        """Set the wheel speeds; coming to rest is at once, getting faster takes the ramp."""
        if self._closed:
            raise MotorError(f"{self.what} are closed; open new ones to drive on")
        left, right = checked(left, right)
        with self._lock:
            if not self._aim(left, right):
                return
        if self._pacer.failure is not None:
            self._rest()
            raise MotorError(f"the thread that {self.thread} failed: {self._pacer.failure}")
        self._pacer.poke()

    def close(self) -> None:
        """Bring the wheels to rest, then let go of the hardware."""
        if self._closed:
            return
        self._closed = True
        # An exception at a bad moment may have left the lock held: they come to rest all the same.
        held = self._lock.acquire(timeout=0.1)
        try:
            self._rest()
        finally:
            if held:
                self._lock.release()
            self._pacer.close()
            self._let_go()

    @abstractmethod
    def tick(self, now_ns: int) -> int | None:
        """Do what is due; returns when to be called next, None for nothing."""

    @abstractmethod
    def _aim(self, left: float, right: float) -> bool:
        """Take new speeds, with the lock held. Rest is at once; whether the thread has a part."""

    @abstractmethod
    def _rest(self) -> None:
        """Set the hardware to rest, whatever was aimed at."""

    @abstractmethod
    def _let_go(self) -> None:
        """Release the hardware, at rest."""
