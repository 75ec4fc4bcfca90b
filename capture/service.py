"""``autcar record --service``: the cockpit waits for a driver, from boot to shutdown.

Ready means that the camera has given a frame and the guardian has opened the motors.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import Any

from autcar.appliance.control import Control
from autcar.appliance.service_mode import open_when_there
from autcar.appliance.systemd import Notifier, service_log
from autcar.errors import AutcarError, CameraError
from autcar.exit_codes import NO_CAMERA
from autcar.safety import Reason
from capture.daemon import Daemon
from capture.drive import configured, open_inputs

_FIRST_FRAME_S = 10.0
_LOOK_S = 0.5

log = service_log("autcar.capture")


def serve(arguments: argparse.Namespace) -> int:
    """Run the verb as a service; returns the exit code."""
    notifier = Notifier()
    notifier.status("starting")
    ready = False
    try:
        config = configured(arguments)
        with (
            open_when_there(config, notifier) as vehicle,
            Daemon(config, vehicle, arguments.output, notifier.alive) as daemon,
            ExitStack() as inputs,
        ):
            notifier.step("waiting for the camera's first frame")
            daemon.first_frame(_FIRST_FRAME_S)
            url = open_inputs(config, arguments, daemon, inputs)
            with Control(lambda request: _answer(request, daemon)):
                notifier.status(_status(daemon))
                notifier.ready()
                ready = True
                log.info("ready: %s", url or "no cockpit")
                while True:
                    daemon.wait(_LOOK_S)
                    notifier.status(_status(daemon))
    except AutcarError as error:
        notifier.status(f"failed: {error}")
        log.error("%s", error, extra={"fields": {"reason": type(error).__name__}})
        if isinstance(error, CameraError) and not ready:
            return NO_CAMERA
        raise


def _answer(request: str, daemon: Daemon) -> dict[str, Any]:
    if request == "disarm":
        daemon.helm.stop(Reason.STOP_PRESSED)
    elif request == "arm":
        return {"error": "here a person drives; open the cockpit and take the wheel"}
    elif request != "status":
        return {"error": f"unknown request {request!r}; there are disarm, status"}
    state = daemon.helm.state
    return {
        "service": "record",
        "ready": True,
        "armed": state.driver is not None,
        "reason": state.reason,
        "frames": daemon.recorder.status().frames,
        "driver": state.driver,
    }


def _status(daemon: Daemon) -> str:
    state = daemon.helm.state
    recording = f", {daemon.recorder.status().frames} frames recorded"
    if state.driver is not None:
        return f"{state.driver} drives{recording}"
    return f"at rest: {state.reason}{recording}"
