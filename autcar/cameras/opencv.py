"""USB cameras (V4L2) and video files, through OpenCV."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from autcar.cameras.base import Camera, Frame, Image
from autcar.cameras.pace import Pace
from autcar.device_access import advice_for, holders_of
from autcar.drivers import setting
from autcar.errors import CameraError, CameraTimeoutError

_log = logging.getLogger(__name__)

CLOSE_S = 0.8


@dataclass(frozen=True)
class OpencvSettings:
    """Which camera or file, and how it exposes."""

    device: str = setting("/dev/video0", "a USB camera such as /dev/video0, or a video file")
    native_width: int = setting(640, "what the USB camera is asked for; it is scaled", 16, 8192)
    native_height: int = setting(480, "pixels", 16, 8192)
    exposure: float = setting(0.0, "fixed exposure in the camera's unit; 0: automatic", 0, 1e5)
    loop: bool = setting(False, "begin a video file again at its end")


class OpencvCamera(Camera):
    """Frames of a USB camera, always the newest, or of a video file at ``fps``.

    Raises :class:`CameraError` when there is no such device or file, when it is in use,
    not ours, unplugged, at its end, or of another shape than was asked for.
    """

    Settings = OpencvSettings

    def __init__(
        self, width: int, height: int, fps: float, settings: OpencvSettings | None = None
    ) -> None:
        self.width, self.height, self.fps = width, height, fps
        settings = settings or OpencvSettings()
        self.live = not Path(settings.device).is_file()
        self._source: _Device | _File = (
            _Device(settings, fps) if self.live else _File(settings, fps)
        )
        self._open = True

    def read(self, timeout_s: float = 1.0) -> Frame:
        """The newest frame that was not read before."""
        if not self._open:
            raise CameraError("the camera is closed; open it again to read on")
        image, sequence, time_ns = self._source.take(timeout_s)
        return Frame(self._scaled(image), sequence, time_ns)

    def close(self) -> None:
        """Release the device or file."""
        if self._open:
            self._open = False
            self._source.close()

    def _scaled(self, image: Image) -> Image:
        height, width = image.shape[:2]
        if (width, height) != (self.width, self.height):
            if abs(width / height - self.width / self.height) > 0.02:
                raise CameraError(
                    f"the picture is {width}×{height}, another shape than [camera] asks for "
                    f"({self.width}×{self.height} before turning); set width and height, or crop, "
                    f"or native_width and native_height"
                )
            image = np.asarray(cv2.resize(image, (self.width, self.height)), np.uint8)
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


class _File:
    """A video file, played at ``fps``; a late reader skips frames, as with a camera."""

    def __init__(self, settings: OpencvSettings, fps: float) -> None:
        self._path, self._loop = settings.device, settings.loop
        self._capture = cv2.VideoCapture(self._path)
        if not self._capture.isOpened():
            raise CameraError(f"{self._path} is no video that OpenCV can read; convert it to mp4")
        self._pace = Pace(fps)
        self._at = -1

    def take(self, timeout_s: float) -> tuple[Image, int, int]:
        sequence, time_ns = self._pace.wait(timeout_s)
        while self._at < sequence:
            if not self._capture.grab():
                if not self._loop or self._at < 0:
                    raise CameraError(f"{self._path} is over; set loop = true to begin again")
                self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
                if not self._capture.grab():
                    raise CameraError(f"{self._path} cannot be wound back; convert it to mp4")
            self._at += 1
        ok, image = self._capture.retrieve()
        if not ok:
            raise CameraError(f"frame {self._at} of {self._path} is damaged; convert it anew")
        return np.asarray(image, np.uint8), sequence, time_ns

    def close(self) -> None:
        self._capture.release()


class _Device:
    """A USB camera, read by a thread of its own so that the newest frame wins."""

    def __init__(self, settings: OpencvSettings, fps: float) -> None:
        self._name = settings.device
        self._capture = _open_device(settings, fps)
        self._newest: tuple[Image, int, int] | None = None
        self._failure: str | None = None
        self._ending = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def take(self, timeout_s: float) -> tuple[Image, int, int]:
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._failure, timeout_s)
            newest, self._newest = self._newest, None
        if newest is not None:
            return newest
        if self._failure is not None:
            raise CameraError(self._failure)
        raise CameraTimeoutError(f"{self._name} gave no frame in {timeout_s:g} s")

    def close(self) -> None:
        # The thread alone touches the capture: OpenCV cannot release one that is being read.
        self._ending = True
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            _log.warning("%s hangs; it is left to itself", self._name)

    def _run(self) -> None:
        sequence = 0
        try:
            while not self._ending:
                ok, image = self._capture.read()
                if not ok:
                    self._fail(f"{self._name} gives no more frames: was it unplugged?")
                    return
                time_ns = self._exposed_ns()
                with self._changed:
                    self._newest = np.asarray(image, np.uint8), sequence, time_ns
                    self._changed.notify_all()
                sequence += 1
        except Exception as error:
            self._fail(f"{self._name} failed: {error}")
        finally:
            self._capture.release()

    def _exposed_ns(self) -> int:
        """The kernel's time of the frame where it gives one, else now."""
        now_ns = time.monotonic_ns()
        kernel_ns = int(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        return kernel_ns if 0 <= now_ns - kernel_ns < 1_000_000_000 else now_ns

    def _fail(self, why: str) -> None:
        with self._changed:
            self._failure = f"{why}; look with: ls -l /dev/video*"
            self._changed.notify_all()


def _open_device(settings: OpencvSettings, fps: float) -> cv2.VideoCapture:
    name = settings.device
    path = Path(f"/dev/video{name}" if name.isdigit() else name)
    if not path.exists():
        there = ", ".join(sorted(str(found) for found in Path("/dev").glob("video*"))) or "none"
        raise CameraError(
            f"there is no camera or file {path}; cameras here: {there}; set [camera] device"
        )
    if advice := advice_for(str(path), "video"):
        raise CameraError(advice)
    capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
    if not capture.isOpened():
        who = holders_of(str(path))
        why = f"is in use by {who}; end that" if who else "is in use, or is no camera"
        raise CameraError(f"{path} {why}; v4l2-ctl --list-devices names the cameras")
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.native_width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.native_height)
    capture.set(cv2.CAP_PROP_FPS, fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 2)
    if settings.exposure:
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, 1)  # V4L2_EXPOSURE_MANUAL
        capture.set(cv2.CAP_PROP_EXPOSURE, settings.exposure)
    return capture
