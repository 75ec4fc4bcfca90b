"""The Pi's camera module, through picamera2: the one file of autcar that imports it."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as JobTimeoutError
from dataclasses import dataclass
from typing import Any

from autcar.cameras.base import Camera, Frame
from autcar.device_access import advice_for, holders_of
from autcar.drivers import setting
from autcar.errors import CameraError, CameraTimeoutError

_log = logging.getLogger(__name__)

CLOSE_S = 0.8
"""How long closing may take before the camera is left to itself."""

_LOCKED = ("ExposureTime", "AnalogueGain", "ColourGains")


@dataclass(frozen=True)
class Picamera2Settings:
    """How the camera module exposes."""

    number: int = setting(0, "which camera, where there are two", 0, 7)
    exposure_us: int = setting(0, "exposure in µs; 0: automatic", 0, 1_000_000)
    gain: float = setting(0.0, "sensor gain, such as 4.0; 0: automatic", 0, 64)
    lock_s: float = setting(0.0, "hold exposure and colours after so many s; 0: never", 0, 600)


class Picamera2Camera(Camera):
    """Frames of a Pi's camera module, stamped with the sensor's own time.

    One request is under way at any time: a read that times out leaves it for the next
    one, because each abandoned request would later eat a frame. Raises
    :class:`CameraError` when there is no such camera, when it is in use, or when it
    cannot give the size.
    """

    Settings = Picamera2Settings

    def __init__(
        self, width: int, height: int, fps: float, settings: Picamera2Settings | None = None
    ) -> None:
        self.width, self.height, self.fps = width, height, fps
        self._settings = settings or Picamera2Settings()
        self._job: Any = None
        self._lock_at_s: float | None = None
        self._camera = _open(self._settings.number)
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def read(self, timeout_s: float = 1.0) -> Frame:
        """The next frame; one that came while nobody read is skipped."""
        camera = self._camera
        if camera is None:
            raise CameraError("the camera is closed; open it again to read on")
        end_s = time.monotonic() + timeout_s
        leftover = self._job is not None
        while True:
            frame = self._take(camera, max(0.0, end_s - time.monotonic()))
            fresh_ns = 2e9 / self.fps
            if not leftover or time.monotonic_ns() - frame.time_ns < fresh_ns:
                return frame
            leftover = False

    def _take(self, camera: Any, timeout_s: float) -> Frame:
        """What the request under way brings, or a new one."""
        if self._job is None:
            self._job = camera.capture_request(wait=False)
        try:
            request = camera.wait(self._job, timeout=timeout_s)
        except (TimeoutError, JobTimeoutError):
            raise CameraTimeoutError("the camera gave no frame in time") from None
        except CancelledError:
            raise CameraError("the camera was closed while it was read") from None
        self._job = None
        try:
            image = request.make_array("main")
            facts = request.get_metadata()
            sequence = next(iter(request.request.buffers.values())).metadata.sequence
        finally:
            request.release()
        self._lock_exposure(facts)
        return Frame(image, sequence, min(facts["SensorTimestamp"], time.monotonic_ns()))

    def close(self) -> None:
        """Release the camera, within a second also when it hangs."""
        camera, self._camera = self._camera, None
        if camera is None:
            return
        # A request that waits would make stop() wait for ever.
        camera.cancel_all_and_flush()
        closer = threading.Thread(target=_close, args=(camera,), daemon=True)
        closer.start()
        closer.join(CLOSE_S)
        if closer.is_alive():
            _log.warning("the camera does not close; it is left to itself")

    def _start(self) -> None:
        settings, camera = self._settings, self._camera
        period_us = round(1e6 / self.fps)
        controls: dict[str, Any] = {"FrameDurationLimits": (period_us, period_us)}
        if settings.exposure_us:
            controls["ExposureTime"] = settings.exposure_us
        if settings.gain:
            controls["AnalogueGain"] = settings.gain
        wanted = (self.width, self.height)
        try:
            camera.configure(
                camera.create_video_configuration(
                    # BGR888 is R, G, B in memory: libcamera names the other way round.
                    main={"size": wanted, "format": "BGR888"},
                    buffer_count=4,
                    queue=False,
                    controls=controls,
                )
            )
            size = camera.camera_configuration()["main"]["size"]
            if tuple(size) != wanted:
                raise CameraError(
                    f"the camera gives {size[0]}×{size[1]} pixels instead of {self.width}×"
                    f"{self.height}; set [camera] width and height to what it can do"
                )
            camera.start()
        except CameraError:
            raise
        except Exception as error:
            raise CameraError(
                f"the camera cannot give {self.width}×{self.height} pixels at {self.fps:g} frames "
                f"a second: {error}; change [camera]"
            ) from error
        if settings.lock_s:
            self._lock_at_s = time.monotonic() + settings.lock_s

    def _lock_exposure(self, facts: dict[str, Any]) -> None:
        """From a moment on, keep exposure and colours as they were found to be good."""
        if self._lock_at_s is None or time.monotonic() < self._lock_at_s:
            return
        self._lock_at_s = None
        found = {name: facts[name] for name in _LOCKED if name in facts}
        known = self._camera.camera_controls
        switches = {name: False for name in ("AeEnable", "AwbEnable") if name in known}
        self._camera.set_controls(switches | {n: v for n, v in found.items() if n in known})
        _log.info("exposure is held: %s", found)


def _open(number: int) -> Any:
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        raise CameraError(
            f"picamera2 cannot be loaded ({error}); on a Raspberry Pi type: sudo apt install "
            f"python3-picamera2, and let the environment see it: python3 -m venv "
            f"--system-site-packages"
        ) from error
    cameras = Picamera2.global_camera_info()
    if number >= len(cameras):
        found = f"{len(cameras)} of them" if cameras else "none"
        raise CameraError(
            f"there is no camera {number}: libcamera finds {found}; switch the Pi off, push the "
            f"cable in on both ends, and look with: rpicam-hello --list-cameras"
        )
    try:
        return Picamera2(number)
    except Exception as error:
        raise CameraError(_why_not(number, error)) from error


def _why_not(number: int, error: BaseException) -> str:
    reasons: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        reasons.append(str(cause))
        cause = cause.__cause__
    why = reasons[-1]
    if "busy" in why.lower():
        who = holders_of("/dev/media") or "another program"
        return f"camera {number} is in use by {who}; end that, then try again"
    advice = advice_for("/dev/media0", "video") or "`autcar doctor` looks for the cause"
    return f"camera {number} cannot be opened: {why}; {advice}"


def _close(camera: Any) -> None:
    try:
        camera.close()
    except Exception as error:
        _log.warning("the camera closed badly: %s", error)
