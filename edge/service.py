"""``autcar drive --service``: the bundle drives when it is armed, and not before.

Ready means that camera, bundle and guardian have done one whole turn of the loop. A
fault latches STOP and the service goes on, at rest, until somebody arms it again.
"""

from __future__ import annotations

import argparse
import math
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from autcar.appliance import places
from autcar.appliance.control import Control
from autcar.appliance.model_store import ModelStore
from autcar.appliance.service_mode import CAMERA_WAIT_S, open_when_there
from autcar.appliance.systemd import Notifier, service_log
from autcar.config import load_config
from autcar.errors import AutcarError, CameraError, CameraTimeoutError
from autcar.exit_codes import NO_CAMERA
from autcar.safety import Gate, Reason
from edge.drive import open_bundle
from edge.loop import Loop, Tick

_ARM_WAIT_S = 1.5
_MARK = "started"

log = service_log("autcar.edge")


def serve(arguments: argparse.Namespace) -> int:
    """Run the verb as a service; returns the exit code."""
    # Noted by the very first start, also by one that fails: no later one is it any more.
    first = _first_of_this_boot()
    notifier = Notifier()
    notifier.status("starting")
    service = None
    try:
        config = load_config(arguments.config)
        store = ModelStore()
        folder = Path(arguments.bundle) if arguments.bundle else store.active()
        with open_when_there(config, notifier) as vehicle:
            notifier.step(f"loading {folder.resolve().name}")
            pilot, name = open_bundle(folder, arguments.variant, config)
            gate = Gate(config.safety)
            service = Service(
                Loop(vehicle.camera, pilot, vehicle.wheels, gate, vehicle.clock), gate, notifier
            )
            service.about = {"bundle": name, "folder": folder.resolve().name}
            service.arm_when_ready = arguments.arm and first
            with Control(service.answer):
                service.run()
        return 0
    except AutcarError as error:
        notifier.status(f"failed: {error}")
        log.error("%s", error, extra={"fields": {"reason": type(error).__name__}})
        if isinstance(error, CameraError) and not (service and service.ready):
            return NO_CAMERA
        raise


def _first_of_this_boot() -> bool:
    """Whether the service was not started before in this boot: /run is empty after one."""
    mark = places.running() / _MARK
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class Service:
    """The loop while it runs as a service: what it tells, and what it may be asked."""

    def __init__(self, loop: Loop, gate: Gate, notifier: Notifier) -> None:
        self._loop = loop
        self._gate = gate
        self._notifier = notifier
        self.ready = False
        self._began = time.monotonic()
        self._told: Reason | str | None = ""
        self._times: deque[float] = deque(maxlen=40)
        self._pilot_ms = 0.0
        self._frames = 0
        self.about: dict[str, Any] = {}
        self.arm_when_ready = False
        self._arming = threading.Lock()

    def run(self) -> None:
        """Turn the loop until a signal or an error ends it."""
        ticks = self._loop.ticks()
        try:
            for tick in ticks:
                self._note(tick)
        finally:
            ticks.close()

    def answer(self, request: str) -> dict[str, Any]:
        """Answer the control socket: ``arm``, ``disarm`` or ``status``."""
        if request == "arm":
            self._arm()
        elif request == "disarm":
            with self._arming:
                self.arm_when_ready = False
                self._loop.stop(Reason.DISARMED)
        elif request != "status":
            return {"error": f"unknown request {request!r}; there are arm, disarm, status"}
        return self.facts()

    def facts(self) -> dict[str, Any]:
        """How the service is."""
        times = list(self._times)
        rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0
        reason = self._gate.reason
        return {
            "service": "drive",
            "ready": self.ready,
            "armed": reason is None,
            "reason": reason.value if reason else None,
            "frames": self._frames,
            "fps": round(rate, 1),
            "pilot_ms": round(self._pilot_ms, 2),
            **self.about,
        }

    def _arm(self) -> None:
        self._loop.arm()
        until = time.monotonic() + _ARM_WAIT_S
        while not self._gate.armed and time.monotonic() < until:
            time.sleep(0.01)
        if not self._gate.armed:
            # Nobody must be surprised by a car that drives off later.
            self._loop.stop(Reason.DISARMED)
            reason = self._gate.reason
            raise ControlRefusedError(
                f"not armed: {reason.value if reason else 'no fresh frame'}; "
                f"look at `autcar service logs`"
            )

    def _note(self, tick: Tick) -> None:
        self._notifier.alive()
        if tick.frame is not None:
            self._frames += 1
            self._times.append(time.monotonic())
            self._pilot_ms += 0.1 * (tick.pilot_ns / 1e6 - self._pilot_ms)
        if not self.ready:
            self._get_ready(tick)
        elif tick.verdict.reason is not self._told:
            self._tell(tick.verdict.reason)

    def _get_ready(self, tick: Tick) -> None:
        if tick.frame is None:
            if time.monotonic() - self._began > CAMERA_WAIT_S:
                raise CameraTimeoutError(
                    f"the camera gave no frame in {CAMERA_WAIT_S:g} s; check its cable and "
                    f"[camera], then `sudo autcar service start`"
                )
            self._notifier.step("waiting for the camera's first frame")
            return
        if not all(map(math.isfinite, tick.scores)):
            raise BrokenPilotError(
                f"{self.about['bundle']} answers with numbers that are none; "
                f"take it back with `autcar models rollback`"
            )
        self.ready = True
        self._tell(tick.verdict.reason)
        self._notifier.ready()
        with self._arming:
            if self.arm_when_ready:
                self._loop.arm()

    def _tell(self, reason: Reason | None) -> None:
        self._told = reason
        does = "drives" if reason is None else f"at rest: {reason.value}"
        text = f"{self.about['bundle']}: {does}"
        self._notifier.status(text)
        expected = reason in (None, Reason.DISARMED, Reason.STOP_PRESSED)
        fields = {"reason": reason.name if reason else "DRIVING", **self.about}
        (log.info if expected else log.warning)("%s", text, extra={"fields": fields})


class ControlRefusedError(AutcarError, RuntimeError):
    """A request that the service cannot grant now."""


class BrokenPilotError(AutcarError, ValueError):
    """A bundle whose answers are no numbers."""
