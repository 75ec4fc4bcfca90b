"""The capture daemon: camera → live view and recorder; a person's commands → wheels.

Three threads that never wait for one another: the camera's, which labels and hands
on; the recorder's, which writes; the cockpit's, which serves pages and passes their
commands to the wheels in the moment they arrive.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from autcar.cockpit.feed import Feed, Shot
from autcar.config import Config
from autcar.errors import CameraTimeoutError
from autcar.helm import Helm
from autcar.images import encode_jpeg
from autcar.safety import Reason
from autcar.vehicle import Vehicle
from capture.recorder import Recorder


class Daemon:
    """A car that a person drives. Close it, or use it as a context manager.

    ``folder`` is where sessions are written, ``[record] folder`` unless given. ``turned``
    is called at each turn of the camera's loop. The vehicle stays the caller's to close.
    """

    def __init__(
        self,
        config: Config,
        vehicle: Vehicle,
        folder: str | Path | None = None,
        turned: Callable[[], None] = lambda: None,
    ) -> None:
        self._vehicle = vehicle
        self._turned = turned
        self._timeout_s = config.safety.frame_age_ms / 1000
        self._quality = config.record.quality
        self.feed = Feed()
        self.helm = Helm(
            vehicle.wheels,
            link_ms=config.cockpit.link_ms,
            limits=config.safety,
            clock=vehicle.clock,
        )
        self.recorder = Recorder(
            folder or config.record.folder,
            size=(config.camera.width, config.camera.height),
            fps=config.camera.fps,
            car=config.car.name,
            settings=config.record,
        )
        self._ending = threading.Event()
        self._failure: Exception | None = None
        self._camera = threading.Thread(target=self._watch, name="camera", daemon=True)
        self._camera.start()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until ``seconds`` are over, or for ever; raises what ended the camera's thread."""
        end_s = time.monotonic() + (float("inf") if seconds is None else seconds)
        # In slices: a signal that another thread took does not wake a thread that waits.
        while (left_s := end_s - time.monotonic()) > 0 and not self._ending.is_set():
            self._ending.wait(min(left_s, 0.05))
        if self._failure is not None:
            raise self._failure

    def first_frame(self, timeout_s: float) -> None:
        """Wait for the camera's first frame. Raises :class:`CameraTimeoutError`."""
        end_s = time.monotonic() + timeout_s
        while self.feed.latest is None:
            if time.monotonic() > end_s:
                raise CameraTimeoutError(
                    f"the camera gave no frame in {timeout_s:g} s; check its cable and [camera]"
                )
            self.wait(0.02)

    def close(self) -> None:
        """Bring the wheels to rest, then write what waits. Closing twice is harmless."""
        self.helm.stop(Reason.DISARMED)
        self._ending.set()
        self._camera.join(self._timeout_s + 2.0)
        self.recorder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _watch(self) -> None:
        try:
            while not self._ending.is_set():
                self._turned()
                try:
                    frame = self._vehicle.camera.read(self._timeout_s)
                except CameraTimeoutError:
                    self.helm.tick()
                    continue
                self.helm.saw(frame.time_ns)
                command, source = self.helm.in_force(frame.time_ns)
                jpeg = encode_jpeg(frame.image, self._quality)
                shot = Shot(jpeg, frame.sequence, frame.time_ns, command, source)
                self.recorder.offer(shot)
                self.feed.publish(shot)
                self.helm.tick()
        except Exception as error:
            self.helm.stop(Reason.CAMERA_STALLED)
            self._failure = error
            self._ending.set()
