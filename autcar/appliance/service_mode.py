"""What both services share: a camera that is late, and the guardian's place ahead of them."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from autcar.errors import CameraError
from autcar.vehicle import open_vehicle

if TYPE_CHECKING:
    from autcar.appliance.systemd import Notifier
    from autcar.config import Config
    from autcar.vehicle import Vehicle

CAMERA_WAIT_S = 10.0


def open_when_there(config: Config, notifier: Notifier) -> Vehicle:
    """Open the car; a camera may appear some seconds after the boot."""
    notifier.step("opening camera and motors")
    until = time.monotonic() + CAMERA_WAIT_S
    while True:
        try:
            vehicle = open_vehicle(config)
            step_back()
            return vehicle
        except CameraError as error:
            if time.monotonic() > until:
                raise
            notifier.step(f"waiting for the camera: {error}")
            time.sleep(1.0)


def step_back() -> None:
    """Leave the place ahead of others to the guardian, which was started with it."""
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread that has just ended
            os.setpriority(os.PRIO_PROCESS, int(thread.name), 0)
