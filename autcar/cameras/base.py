"""What every camera driver gives: frames with a sequence number and a capture time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """One camera image.

    ``image`` is ``uint8``, height × width × 3, **RGB**, and belongs to the
    reader: a driver never writes into it again. ``sequence`` counts what the
    camera captured, so a gap means dropped frames. ``time_ns`` is the monotonic
    time of the exposure in nanoseconds.
    """

    image: Image
    sequence: int
    time_ns: int


class Camera(ABC):
    """A source of frames. Use it as a context manager, or call :meth:`close`.

    ``live`` is False for what was recorded before: that has an end.
    """

    width: int
    height: int
    fps: float
    live: bool = True

    @abstractmethod
    def read(self, timeout_s: float = 1.0) -> Frame:
        """Wait for a frame that was not read before, and return the newest.

        Raises :class:`~autcar.errors.CameraTimeoutError` when none comes in
        ``timeout_s`` seconds, :class:`~autcar.errors.CameraError` when none can.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the camera. Closing twice is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
