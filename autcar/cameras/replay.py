"""A recorded session, played as if a camera saw it now."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from autcar.cameras.base import Camera, Frame
from autcar.cameras.pace import Pace
from autcar.drivers import setting
from autcar.errors import CameraError, DataError, DataNotFoundError
from autcar.images import read_image


@dataclass(frozen=True)
class ReplaySettings:
    """Which recording."""

    session: str = setting("", "the folder of a recorded session")
    loop: bool = setting(False, "begin again at its end")


class ReplayCamera(Camera):
    """The images of a session, ``fps`` of them a second; a late reader skips some.

    Raises :class:`CameraError` when there is no such session, at its end, and for images
    of another shape than was asked for.
    """

    Settings = ReplaySettings
    live = False

    def __init__(
        self, width: int, height: int, fps: float, settings: ReplaySettings | None = None
    ) -> None:
        from autcar.recording.session import read_session

        self.width, self.height, self.fps = width, height, fps
        self._settings = settings = settings or ReplaySettings()
        if not settings.session:
            raise CameraError('which recording? set [camera] session = "recordings/NAME"')
        try:
            self._records = read_session(settings.session).records
        except (DataError, DataNotFoundError) as error:
            raise CameraError(str(error)) from error
        self._pace = Pace(fps)
        self._open = True

    def read(self, timeout_s: float = 1.0) -> Frame:
        """The frame that is due."""
        if not self._open:
            raise CameraError("the recording is closed; open it again to read on")
        sequence, time_ns = self._pace.wait(timeout_s)
        index = sequence % len(self._records)
        if sequence >= len(self._records) and not self._settings.loop:
            raise CameraError(f"{self._settings.session} is over; set loop = true to begin again")
        try:
            image = read_image(self._records[index].image)
        except (DataError, DataNotFoundError) as error:
            raise CameraError(str(error)) from error
        height, width = image.shape[:2]
        if (width, height) != (self.width, self.height):
            if abs(width / height - self.width / self.height) > 0.02:
                raise CameraError(
                    f"{self._settings.session} has {width}×{height} pixels; set [camera] width "
                    f"and height to these"
                )
            image = np.asarray(cv2.resize(image, (self.width, self.height)), np.uint8)
        return Frame(image, sequence, time_ns)

    def close(self) -> None:
        """Let go of the recording."""
        self._open = False
