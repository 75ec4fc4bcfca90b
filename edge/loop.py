"""The driving loop: newest frame → pilot → gate → expiring command → wheels.

Driven by frames and not by sleeps. The loop owns the timing; the gate decides;
the guardian has the last word. Whatever ends the loop, the wheels are at rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

from autcar.cameras.base import Camera, Frame
from autcar.errors import CameraError, CameraTimeoutError, MotorError
from autcar.safety import MS, Gate, Reason, Verdict
from autcar.sight import look
from autcar.wheels import Wheels
from edge.pilots import Pilot, Scores


@dataclass(frozen=True, slots=True)
class Tick:
    """One turn of the loop. ``frame`` is None when the camera gave none in time.

    ``pilot_ns`` is the time in the pilot, ``overhead_ns`` all other CPU work of the
    turn, ``age_ns`` from exposure to the command handed to the wheels.
    """

    frame: Frame | None
    scores: Scores
    verdict: Verdict
    pilot_ns: int
    overhead_ns: int
    age_ns: int


class Loop:
    """Runs a pilot on a camera's frames and drives the wheels through the gate.

    ``clock`` gives the time in ns that frames are stamped with: the monotonic clock
    on a car, the world's in a simulation faster than real time.
    """

    def __init__(
        self,
        camera: Camera,
        pilot: Pilot,
        wheels: Wheels,
        gate: Gate,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._camera = camera
        self._pilot = pilot
        self._wheels = wheels
        self._gate = gate
        self._clock = clock
        self._arm_wanted = False

    def arm(self) -> None:
        """Ask to drive from the next fresh frame on."""
        self._arm_wanted = True

    def stop(self, reason: Reason = Reason.STOP_PRESSED) -> Verdict:
        """Bring the wheels to rest now; :meth:`arm` is needed to go on."""
        self._arm_wanted = False
        verdict = self._gate.stop(reason)
        self._wheels.stop()
        return verdict

    def ticks(self) -> Generator[Tick]:
        """Drive for as long as the caller iterates; the wheels are at rest afterwards."""
        try:
            while True:
                yield self._tick()
        finally:
            self._wheels.stop()

    def _tick(self) -> Tick:
        limits = self._gate.limits
        try:
            frame = self._camera.read(limits.frame_age_ms / 1000)
        except CameraTimeoutError:
            return self._without_frame(Reason.CAMERA_STALLED)
        except CameraError:
            self.stop(Reason.CAMERA_STALLED)
            raise
        started = time.perf_counter_ns()
        scores: Scores = ()
        try:
            scores = self._pilot.scores(frame)
        except Exception:
            # Whatever a pilot does wrong, the wheels stop before anybody hears of it.
            self.stop(Reason.PILOT_FAILED)
            raise
        piloted = time.perf_counter_ns()
        verdict = self._judge(frame, scores)
        ended = time.perf_counter_ns()
        age_ns = self._clock() - frame.time_ns
        return Tick(frame, scores, verdict, piloted - started, ended - piloted, age_ns)

    def _judge(self, frame: Frame, scores: Scores) -> Verdict:
        now_ns = self._clock()
        gate = self._gate
        try:
            if self._arm_wanted and gate.arm(now_ns, frame.time_ns):
                self._arm_wanted = False
                self._wheels.arm()
            was_armed = gate.armed
            verdict = gate.decide(now_ns, look(frame), scores)
            if verdict.reason is None:
                expires_ns = now_ns + int(gate.limits.command_ms * MS)
                self._wheels.drive(verdict.left, verdict.right, frame.time_ns, expires_ns)
                if self._wheels.at_rest_because is not None:
                    verdict = gate.stop(Reason.EXPIRED)
            elif was_armed:
                self._wheels.stop()
        except MotorError:
            # By now another guardian has opened the motors, which brings them to rest.
            gate.stop(Reason.GUARDIAN_LOST)
            raise
        return verdict

    def _without_frame(self, reason: Reason) -> Tick:
        was_armed = self._gate.armed
        verdict = self._gate.stop(reason)
        if was_armed:
            self._wheels.stop()
        return Tick(None, (), verdict, 0, 0, 0)
