"""When the next frame of something recorded is due."""

from __future__ import annotations

import time

from autcar.errors import CameraTimeoutError


class Pace:
    """Frames that fall due ``fps`` times a second of the monotonic clock, from the first read."""

    def __init__(self, fps: float) -> None:
        self._period_ns = round(1e9 / fps)
        self._begin_ns: int | None = None
        self._sequence = -1

    def wait(self, timeout_s: float) -> tuple[int, int]:
        """Wait for the newest frame that was not given yet; its number and time in ns.

        Raises :class:`CameraTimeoutError` when none falls due in time.
        """
        now_ns = time.monotonic_ns()
        if self._begin_ns is None:
            self._begin_ns = now_ns
        newest = (now_ns - self._begin_ns) // self._period_ns
        sequence = max(newest, self._sequence + 1)
        due_ns = self._begin_ns + sequence * self._period_ns
        pause_s = (due_ns - now_ns) / 1e9
        if pause_s > timeout_s:
            time.sleep(timeout_s)
            raise CameraTimeoutError(f"no frame falls due in {timeout_s:g} s")
        if pause_s > 0:
            time.sleep(pause_s)
        self._sequence = sequence
        return sequence, due_ns
