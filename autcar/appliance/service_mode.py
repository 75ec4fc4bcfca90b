"""What both services share: waiting for a camera that is late."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from autcar.errors import CameraError
from autcar.rig import open_rig

if TYPE_CHECKING:
    from autcar.appliance.systemd import Notifier
    from autcar.config import Config
    from autcar.rig import Rig

CAMERA_WAIT_S = 10.0


def open_when_there(config: Config, notifier: Notifier) -> Rig:
    """Open the car; a camera may appear some seconds after the boot."""
    notifier.step("opening camera and motors")
    until = time.monotonic() + CAMERA_WAIT_S
    while True:
        try:
            return open_rig(config)
        except CameraError as error:
            if time.monotonic() > until:
                raise
            notifier.step(f"waiting for the camera: {error}")
            time.sleep(1.0)
