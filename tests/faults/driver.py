"""A driving car for the fault tests: the real process picture, and a fault on demand.

``python -m tests.faults.driver WIRES FAULT`` drives the simulated car in real time
through camera, pilot, gate, guardian and motors (for ``hidden``, behind a hero among
people), says ``driving`` once the wheels
turn, and brings the fault about when it gets SIGUSR1. What no signal can bring about
from inside (a kill, a stop) the test does from outside.
"""

from __future__ import annotations

import math
import signal
import sys
import time
from dataclasses import replace

from autcar.cameras.base import Camera, Frame
from autcar.commands import CLASSES
from autcar.config import Config, FollowSection
from autcar.safety import Gate
from autcar.vehicle import open_vehicle

CAMERA_FAULTS = ("stall", "freeze", "cover", "glare")


class AgeingCamera(Camera):
    """Passes frames on; once ``late``, each says that it is 300 ms older than it is."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self.width, self.height, self.fps = camera.width, camera.height, camera.fps
        self.late = False

    def read(self, timeout_s: float = 1.0) -> Frame:
        frame = self._camera.read(timeout_s)
        return replace(frame, time_ns=frame.time_ns - 300_000_000) if self.late else frame

    def close(self) -> None:
        self._camera.close()


class FailingPilot:
    """A good pilot until told to fail."""

    def __init__(self, pilot) -> None:
        self._pilot = pilot
        self.fault = ""

    def scores(self, frame: Frame):
        scores = self._pilot.scores(frame)
        match self.fault:
            case "nan":
                return [math.nan] * len(CLASSES)
            case "shape":
                return scores[:-1]
            case "unsure":
                return [1 / len(CLASSES)] * len(CLASSES)
            case "raise":
                raise RuntimeError("the pilot failed, as this test asked for")
            case "hang":
                time.sleep(3)
            case "busy":
                until = time.monotonic() + 3
                while time.monotonic() < until:
                    pass
        return scores


def following(config: Config) -> Config:
    """A car among people that has a way to go until it is near its hero."""
    return replace(
        config,
        camera=replace(config.camera, width=128, height=96),
        simulator=replace(config.simulator, world="people"),
        follow=FollowSection(size=0.8, near=0.9),
    )


class Announcer:
    """Says ``driving`` once the wheels have turned for a few frames."""

    def __init__(self) -> None:
        self._frames = 0

    def tell(self, tick, rate: float) -> None:
        self._frames += (tick.verdict.left, tick.verdict.right) != (0, 0)
        if self._frames == 5:
            print("driving", flush=True)

    def end(self) -> None:
        pass


def main() -> int:
    wires, fault = sys.argv[1:]
    config = following(Config()) if fault == "hidden" else Config()
    config = replace(config, simulator=replace(config.simulator, wires=wires))
    with open_vehicle(config) as vehicle:
        from autcar.bundle import load_bundle, shipped_bundle
        from edge.drive import drive_vehicle, open_bundle
        from edge.pilots import BundlePilot

        if fault == "hidden":
            sane, _ = open_bundle(shipped_bundle("follow"), None, config)
        else:
            sane = BundlePilot(load_bundle(shipped_bundle()))
        pilot = FailingPilot(sane)
        simulated = vehicle.camera
        vehicle.camera = ageing = AgeingCamera(simulated)

        def bring_about(_number: int, _frame: object) -> None:
            if fault == "hidden":
                world = vehicle.world
                world.hide_hero() if world.hero_is_here else world.show_hero()
            elif fault in CAMERA_FAULTS:
                getattr(simulated, fault)()
            elif fault == "stale":
                ageing.late = True
            else:
                pilot.fault = fault

        signal.signal(signal.SIGUSR1, bring_about)
        run = drive_vehicle(vehicle, pilot, Gate(config.safety), None, Announcer())
    print(f"stopped: {run.reason}", flush=True)
    return 0 if run.well else 1


if __name__ == "__main__":
    from autcar.cli import run_safely

    sys.exit(run_safely(main))
