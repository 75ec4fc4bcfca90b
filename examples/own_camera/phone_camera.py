"""A camera of your own: a phone that serves MJPEG, as the usual "IP webcam" apps do.

Installed (``pip install examples/own_camera``), it is chosen in car.toml:

    [camera]
    driver = "phone"
    url = "http://192.168.1.20:8080/video"
"""

import threading
import time
import urllib.request
from dataclasses import dataclass

import cv2
import numpy as np

from autcar.cameras.base import Camera, Frame
from autcar.drivers import setting
from autcar.errors import CameraError, CameraTimeoutError, DataError
from autcar.images import decode_image


@dataclass(frozen=True)
class PhoneSettings:
    url: str = setting("http://phone.local:8080/video", "where the phone serves MJPEG")


class PhoneCamera(Camera):
    Settings = PhoneSettings

    def __init__(self, width, height, fps, settings=None):
        self.width, self.height, self.fps = width, height, fps
        self._url = (settings or PhoneSettings()).url
        self._newest = None
        self._read = -1
        self._ended = None
        self._changed = threading.Condition()
        try:
            self._stream = urllib.request.urlopen(self._url, timeout=2)
        except (OSError, ValueError) as error:
            raise CameraError(f"no camera at {self._url} ({error}); is its app open?") from error
        threading.Thread(target=self._receive, daemon=True).start()

    def read(self, timeout_s=1.0):
        def is_there():
            return self._ended or (self._newest and self._newest.sequence > self._read)

        with self._changed:
            if not self._changed.wait_for(is_there, timeout_s):
                raise CameraTimeoutError(f"{self._url} gave no picture for {timeout_s} s")
            if self._ended:
                raise CameraError(f"{self._url} ended: {self._ended}")
            self._read = self._newest.sequence
            return self._newest

    def close(self):
        self._end("closed")

    def _receive(self):
        """Each part of the stream has its length in a header, then a whole JPEG."""
        sequence = 0
        try:
            while not self._ended and (line := self._stream.readline()):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
                    while self._stream.readline().strip():
                        pass  # the other headers
                    image = decode_image(self._stream.read(length), self._url)
                    image = cv2.resize(
                        image, (self.width, self.height), interpolation=cv2.INTER_AREA
                    )
                    # Exposed some time before: the network tells nobody when.
                    frame = Frame(np.ascontiguousarray(image), sequence, time.monotonic_ns())
                    sequence += 1
                    with self._changed:
                        self._newest = frame
                        self._changed.notify_all()
            self._end("the stream is over")
        except (OSError, ValueError, DataError) as error:
            self._end(str(error))
        finally:
            self._stream.close()

    def _end(self, why):
        with self._changed:
            self._ended = self._ended or why
            self._changed.notify_all()
