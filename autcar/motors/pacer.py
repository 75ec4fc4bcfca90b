"""A thread that does something when it is due: steps of a motor, or a ramp of its speed."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress

MOST_AT_ONCE = 4096


class Pacer:
    """Calls ``tick(now_ns)`` when it is due, and at once when poked.

    ``tick`` returns when it wants to be called next (monotonic ns), None to wait for a
    poke. Because it names a moment and not a pause, a late wake-up does not add up. If
    it raises, the thread ends and :attr:`failure` keeps why.

    Poking takes no lock, so that a signal that unwinds the owner at any moment cannot
    leave one locked.
    """

    def __init__(self, tick: Callable[[int], int | None]) -> None:
        self._tick = tick
        self._ending = False
        self.failure: Exception | None = None
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="pacer", daemon=True)
        self._thread.start()

    def poke(self) -> None:
        """Have ``tick`` called as soon as possible."""
        # A full pipe holds pokes enough.
        with suppress(BlockingIOError):
            os.write(self._writer, b"\0")

    def close(self) -> None:
        """End the thread; ``tick`` is not called any more, unless it hangs. Harmless twice."""
        if self._writer < 0:
            return
        self._ending = True
        self.poke()
        self._thread.join(0.5)
        writer, self._writer = self._writer, -1
        os.close(writer)
        if not self._thread.is_alive():
            os.close(self._reader)

    def _run(self) -> None:
        due_ns: int | None = None
        try:
            while True:
                wait_s = None
                if due_ns is not None:
                    wait_s = max(0, due_ns - time.monotonic_ns()) / 1e9
                if select.select([self._reader], [], [], wait_s)[0]:
                    os.read(self._reader, MOST_AT_ONCE)
                if self._ending:
                    return
                due_ns = self._tick(time.monotonic_ns())
        except Exception as error:
            self.failure = error
