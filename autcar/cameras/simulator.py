"""The camera of the simulated car, in lock-step with the world or in real time."""

from __future__ import annotations

import time
from typing import Literal

import numpy as np

from autcar.cameras.base import Camera, Frame, Image
from autcar.errors import CameraError, CameraTimeoutError
from autcar.simulator.moving_car import MovingCar
from autcar.simulator.wires import Wires

Fault = Literal["none", "stall", "freeze", "cover", "glare"]


class SimulatedCamera(Camera):
    """Looks at a world, and moves it on: reading frames is what makes time pass.

    In lock-step each :meth:`read` advances the world by one frame, however long
    the caller thought, and frames carry the world's time. With ``realtime``,
    frames fall due ``fps`` times a second of the monotonic clock and carry that
    time; a late reader gets the newest and finds a gap in the sequence.

    With ``wires``, the wheels obey what is on them; without, what the world was told.
    """

    def __init__(
        self,
        world: MovingCar,
        fps: float = 20.0,
        realtime: bool = False,
        *,
        wires: Wires | None = None,
    ) -> None:
        self.world = world
        self.width = world.mount.width
        self.height = world.mount.height
        self.fps = fps
        self.realtime = realtime
        self._wires = wires
        self._period_ns = round(1e9 / fps)
        self._sequence = -1
        self._begin_ns = 0
        self._now_ns = 0  # the moment that the world has reached, on the clock of `_begin_ns`
        self._fault: Fault = "none"
        self._frozen: Image | None = None
        self._open = True
        if realtime:
            _ = world.renderer  # Painting takes a few frames' time: not within the first read.

    def read(self, timeout_s: float = 1.0) -> Frame:
        """The next frame, or in real time the newest that was not read before."""
        if not self._open:
            raise CameraError("the simulated camera is closed; open a new one to read on")
        return self._read_realtime(timeout_s) if self.realtime else self._read_lockstep(timeout_s)

    def close(self) -> None:
        """Let go of the world. The wires stay open."""
        self._open = False

    # Faults, for tests and demonstrations; each lasts until the next or `clear()`.

    def stall(self) -> None:
        """Give no more frames: reads time out while the world goes on."""
        self._fault = "stall"

    def freeze(self) -> None:
        """Give the next image again and again, with new sequence numbers and times."""
        self._frozen = None
        self._fault = "freeze"

    def cover(self) -> None:
        """Cover the lens: black, but for the sensor's noise."""
        self._fault = "cover"

    def glare(self) -> None:
        """Blind the lens: white all over."""
        self._fault = "glare"

    def clear(self) -> None:
        """End any fault."""
        self._fault = "none"

    def _read_lockstep(self, timeout_s: float) -> Frame:
        if self._wires is not None:
            self.world.set_wheels(*self._wires.read()[:2])
        if self._fault == "stall":
            self.world.step(timeout_s)
            raise self._timed_out(timeout_s)
        self.world.step(self._period_ns * 1e-9)
        self._sequence += 1
        return Frame(self._image(), self._sequence, self.world.time_ns)

    def _read_realtime(self, timeout_s: float) -> Frame:
        now = time.monotonic_ns()
        if self._sequence < 0 and not self._begin_ns:
            self._begin_ns = self._now_ns = now
        newest = (now - self._begin_ns) // self._period_ns
        sequence = max(newest, self._sequence + 1)
        due = self._begin_ns + sequence * self._period_ns
        if self._fault == "stall" or due - now > timeout_s * 1e9:
            time.sleep(timeout_s)
            self._advance(time.monotonic_ns())
            raise self._timed_out(timeout_s)
        if due > now:
            time.sleep((due - now) * 1e-9)
        self._advance(due)
        self._sequence = sequence
        return Frame(self._image(), sequence, due)

    def _advance(self, to_ns: int) -> None:
        """Bring the world to a moment of the clock, with each wheel speed from when it was set."""
        if self._wires is not None:
            left, right, _, since_ns = self._wires.read()
            if since_ns <= to_ns:
                self._step_to(since_ns)
                self.world.set_wheels(left, right)
        self._step_to(to_ns)

    def _step_to(self, to_ns: int) -> None:
        if to_ns > self._now_ns:
            self.world.step((to_ns - self._now_ns) * 1e-9)
            self._now_ns = to_ns

    def _image(self) -> Image:
        shape = (self.height, self.width, 3)
        match self._fault:
            case "cover":
                return self.world.renderer.expose(np.zeros(shape, np.uint8), self.world.time_ns)
            case "glare":
                return np.full(shape, 255, np.uint8)
            case "freeze":
                if self._frozen is None:
                    self._frozen = self.world.render()
                return self._frozen.copy()
            case _:
                return self.world.render()

    def _timed_out(self, timeout_s: float) -> CameraTimeoutError:
        return CameraTimeoutError(f"the simulated camera gave no frame in {timeout_s:g} s")
