"""A camera that comes back by itself: restarts, counted and with pauses, and then no more."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from autcar.cameras.base import Camera, Frame
from autcar.cameras.picture import Picture
from autcar.errors import CameraError, CameraTimeoutError

_log = logging.getLogger(__name__)


class SteadyCamera(Camera):
    """Reads from a driver, makes the picture, and opens the driver anew when it fails.

    A driver that gives nothing for :attr:`RESTART_S` seconds, or that fails, is closed and
    opened again in the background; meanwhile reads end as time-outs, so that whoever
    drives hears of the stall at once. Opening is tried :attr:`RESTARTS` times, with the
    pauses of :attr:`PAUSES_S`; then reads raise :class:`CameraError` for good. Frames
    for :attr:`HEALTHY_S` seconds make up for all that was before. Sequence numbers go
    on rising across restarts.

    A first opening that fails raises what the driver raised. What is recorded (a driver
    whose ``live`` is False) is never opened again: its end is its end.
    """

    RESTART_S = 2.0
    RESTARTS = 3
    PAUSES_S = (0.0, 0.5, 1.0)
    HEALTHY_S = 60.0

    def __init__(self, open_driver: Callable[[], Camera], picture: Picture) -> None:
        self._open_driver = open_driver
        self._picture = picture
        self._driver: Camera | None = open_driver()
        self.live = self._driver.live
        self.width, self.height, self.fps = picture.width, picture.height, self._driver.fps
        self.restarts = 0
        self._ready = threading.Event()
        self._ready.set()
        self._closing = threading.Event()
        self._restarter: threading.Thread | None = None
        self._failure: str | None = None
        self._offset = 0
        self._sequence = -1
        self._seen_s = self._opened_s = time.monotonic()

    def read(self, timeout_s: float = 1.0) -> Frame:
        """The newest frame, turned and cropped; :class:`CameraTimeoutError` during a restart."""
        end_s = time.monotonic() + timeout_s
        if self._closing.is_set():
            raise CameraError("the camera is closed; open it again to read on")
        if not self._ready.wait(timeout_s):
            raise CameraTimeoutError(f"the camera is being restarted ({self.restarts})")
        if self._failure is not None:
            raise CameraError(self._failure)
        driver = self._driver
        if driver is None:
            raise CameraError("the camera is closed; open it again to read on")
        try:
            frame = driver.read(max(0.0, end_s - time.monotonic()))
            frame = replace(frame, image=self._picture.make(frame.image))
        except CameraTimeoutError as error:
            if self.live and time.monotonic() - self._seen_s > self.RESTART_S:
                self._restart(str(error))
            raise
        except CameraError as error:
            if not self.live or self._closing.is_set():
                raise
            self._restart(str(error))
            raise CameraTimeoutError(
                f"the camera failed and is being restarted: {error}"
            ) from error
        return self._numbered(frame)

    def close(self) -> None:
        """Release the camera. Closing twice is harmless."""
        self._closing.set()
        if self._restarter is not None:
            self._restarter.join(1.0)
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()

    def _numbered(self, frame: Frame) -> Frame:
        now_s = time.monotonic()
        if frame.sequence + self._offset <= self._sequence:
            self._offset = self._sequence + 1 - frame.sequence
        if self.restarts and now_s - self._opened_s > self.HEALTHY_S:
            self.restarts = 0
        self._seen_s = now_s
        self._sequence = frame.sequence + self._offset
        return replace(frame, sequence=self._sequence)

    def _restart(self, why: str) -> None:
        self._ready.clear()
        self._restarter = threading.Thread(
            target=self._reopen, args=(why,), name="camera restart", daemon=True
        )
        self._restarter.start()

    def _reopen(self, why: str) -> None:
        driver, self._driver = self._driver, None
        if driver is not None:
            _close(driver)
        while self.restarts < self.RESTARTS:
            pause_s = self.PAUSES_S[min(self.restarts, len(self.PAUSES_S) - 1)]
            if self._closing.wait(pause_s):
                return
            self.restarts += 1
            _log.warning("restart %d of %d: %s", self.restarts, self.RESTARTS, why)
            try:
                driver = self._open_driver()
            except Exception as error:  # a driver's library may raise anything
                why = str(error) or type(error).__name__
                continue
            if self._closing.is_set():
                _close(driver)
                return
            self._driver = driver
            self._seen_s = self._opened_s = time.monotonic()
            self._ready.set()
            return
        self._failure = (
            f"the camera failed and {self.RESTARTS} restarts did not help: {why}; "
            f"`autcar doctor` looks for the cause; start autcar again when it is mended"
        )
        _log.error("%s", self._failure)
        self._ready.set()


def _close(driver: Camera) -> None:
    """Close a driver whose failure to close matters to nobody any more."""
    try:
        driver.close()
    except Exception as error:
        _log.warning("the camera did not close: %s", str(error) or type(error).__name__)
