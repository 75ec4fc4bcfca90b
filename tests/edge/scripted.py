"""A camera, a pilot and wheels that follow a script, on a virtual clock."""

from contextlib import ExitStack

import numpy as np

from autcar.cameras.base import Camera, Frame
from autcar.commands import Command
from autcar.errors import MotorError
from autcar.safety import MS, Gate
from autcar.vehicle import Vehicle
from edge.loop import Loop
from edge.pilots import ConstantDecider, DecidingPilot

LEFT = Command("left", "light", "forward")


class ScriptedCamera(Camera):
    """20 frames/s of noise; each entry of ``script`` may be an error or an age in ms."""

    width, height, fps = 32, 24, 20.0

    def __init__(self, script=()):
        self.now = 10**12
        self.script = list(script)
        self._sequence = 0

    def read(self, timeout_s=1.0):
        self.now += 50 * MS
        self._sequence += 1
        event = self.script.pop(0) if self.script else 0
        if isinstance(event, Exception):
            raise event
        image = np.random.default_rng(self._sequence).integers(0, 256, (24, 32, 3), np.uint8)
        return Frame(image, self._sequence, self.now - event * MS)

    def close(self):
        pass


class ScriptedWheels:
    """Remembers everything; fails when told to."""

    def __init__(self):
        self.at_rest_because = "not armed"
        self.speeds = (0.0, 0.0)
        self.leases = []
        self.broken = False

    def arm(self):
        self.at_rest_because = None

    def drive(self, left, right, frame_time_ns, expires_ns):
        if self.broken:
            raise MotorError("the guardian died")
        if self.at_rest_because is None:
            self.speeds = (left, right)
        self.leases.append((frame_time_ns, expires_ns))

    def stop(self):
        self.speeds = (0.0, 0.0)
        self.at_rest_because = "stop"

    def close(self):
        self.stop()


class Car:
    """A loop on all of them."""

    def __init__(self, script=(), pilot=None):
        self.camera = ScriptedCamera(script)
        self.motors = ScriptedWheels()
        self.gate = Gate()
        pilot = pilot or DecidingPilot(ConstantDecider(LEFT))
        self.loop = Loop(self.camera, pilot, self.motors, self.gate, lambda: self.camera.now)
        self.ticks = self.loop.ticks()

    @property
    def vehicle(self):
        return Vehicle(self.camera, self.motors, lambda: self.camera.now, None, ExitStack())
