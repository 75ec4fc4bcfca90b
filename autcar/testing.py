"""The contract that every camera and motor driver keeps, as tests to import.

For the authors of drivers: give each function a way to open yours. They assert, and
need no test framework. ``docs/writing-a-driver.md`` shows how.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from autcar.cameras.base import Camera
from autcar.commands import CLASSES
from autcar.errors import CameraError, CameraTimeoutError, MotorError
from autcar.motors.base import Motors

Speeds = Callable[[], tuple[float, float]]


def check_motors(open_driver: Callable[[], Motors], wheels: Speeds, settle_s: float = 0.5) -> None:
    """Check a motor driver: at rest when opened, stopped and closed, and true in between.

    ``wheels`` tells what the left and right wheel do: numbers whose sign is the direction
    and 0 is rest, also when the driver is closed. A command must show in ``settle_s``
    seconds, rest at once.
    """
    with open_driver() as motors:
        assert wheels() == (0, 0), "an opened driver is at rest"
        for command in CLASSES:
            wanted = command.wheels
            motors.drive(*wanted)
            _until(wheels, wanted, settle_s, command.label)
            motors.stop()
            assert wheels() == (0, 0), f"at rest at once after {command.label}"
        motors.drive(7.0, 7.0)
        _until(wheels, (1, 1), settle_s, "speeds beyond 1 are cut off")
        motors.drive(0.0, 0.0)
        assert wheels() == (0, 0), "speeds of 0 are rest"
        _refuses(MotorError, lambda: motors.drive(math.nan, 0.5))
        _refuses(MotorError, lambda: motors.drive(0.5, math.inf))
        assert wheels() == (0, 0), "what is no number moves nothing"
        motors.drive(0.5, 0.5)
    assert wheels() == (0, 0), "a closed driver is at rest"
    motors.close()
    _refuses(MotorError, lambda: motors.drive(0.5, 0.5))
    assert wheels() == (0, 0), "a closed driver stays at rest"
    with open_driver() as again:
        assert wheels() == (0, 0), "a driver can be opened again, at rest"
        again.drive(0.5, 0.5)
    assert wheels() == (0, 0)


def check_camera(
    open_driver: Callable[[], Camera], frames: int = 10, exposed_within_s: float | None = 0.5
) -> None:
    """Check a camera driver: frames of its size, newer one by one, that belong to the reader.

    ``exposed_within_s`` is how old a frame may be, None for a camera with a clock of its own.
    """
    with open_driver() as camera:
        before, kept = None, None
        for _ in range(frames):
            frame = camera.read(5.0)
            assert frame.image.shape == (camera.height, camera.width, 3), frame.image.shape
            assert frame.image.dtype.name == "uint8"
            assert frame.image.flags.c_contiguous, "OpenCV and the interpreter want it so"
            if exposed_within_s is not None:
                age_s = (time.monotonic_ns() - frame.time_ns) / 1e9
                assert 0 <= age_s <= exposed_within_s, f"a frame {age_s} s old"
            if before is None:
                kept = frame.image.copy()
                first = frame
            else:
                assert frame.sequence > before.sequence
                assert frame.time_ns > before.time_ns
            before = frame
        assert (first.image == kept).all(), "a frame that was handed out must not change"
    camera.close()
    _refuses(CameraError, lambda: camera.read(0.1))
    with open_driver() as again:
        again.read(5.0)


def check_stalled_camera(camera: Camera) -> None:
    """Check a camera that gives no frames: reads end in time, and closing within a second."""
    began = time.monotonic()
    _refuses(CameraTimeoutError, lambda: camera.read(0.2))
    took_s = time.monotonic() - began
    assert 0.15 <= took_s <= 0.5, f"a read of at most 0.2 s took {took_s:.2f} s"
    began = time.monotonic()
    camera.close()
    assert time.monotonic() - began < 1.0


def _signs(speeds: tuple[float, float]) -> tuple[int, int]:
    left, right = speeds
    return (left > 0) - (left < 0), (right > 0) - (right < 0)


def _until(wheels: Speeds, wanted: tuple[float, float], seconds: float, what: str) -> None:
    end_s = time.monotonic() + seconds
    while _signs(wheels()) != _signs(wanted):
        assert time.monotonic() < end_s, f"{what}: not within {seconds} s"
        time.sleep(0.001)


def _refuses(error: type[Exception], act: Callable[[], object]) -> None:
    try:
        act()
    except error:
        return
    raise AssertionError(f"expected {error.__name__}")
