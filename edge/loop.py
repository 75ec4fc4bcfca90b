"""The driving loop: newest frame → pilot → gate → expiring command → wheels.

Driven by frames and not by sleeps. The loop owns the timing; the gate decides;
the guardian has the last word. Whatever ends the loop, the wheels are at rest.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autcar.cameras.base import Camera, Frame
from autcar.errors import CameraError, CameraTimeoutError, MotorError
from autcar.frame_statistics import look
from autcar.safety import MS, Gate, Reason, Verdict
from autcar.wheels import Wheels
from edge.pilots import Pilot, Scores


@dataclass(frozen=True, slots=True)
class Tick:
    """One turn of the loop. ``frame`` is None when the camera gave none in time.

    ``pilot_ns`` is the time in the pilot, ``overhead_ns`` all other work of the turn,
    ``age_ns`` from exposure to the command handed to the wheels, which was at
    ``time_ns`` of the loop's clock. A pilot that follows somebody has a ``remark`` on
    what it sees, and the H×W classes of the picture's pixels in ``mask``.
    """

    frame: Frame | None
    scores: Scores
    verdict: Verdict
    pilot_ns: int
    overhead_ns: int
    age_ns: int
    time_ns: int
    remark: str = ""
    mask: npt.NDArray[np.uint8] | None = None

    @property
    def sequence(self) -> int:
        """The frame's number, −1 without one."""
        return -1 if self.frame is None else self.frame.sequence

    @property
    def frame_ns(self) -> int:
        """When the frame was exposed, 0 without one."""
        return 0 if self.frame is None else self.frame.time_ns


_WISH_NS = 2_000 * MS
"""How long a wish to drive holds, and a camera may take to its first frame.

Nobody must be surprised by a car that drives off later.
"""


class Loop:
    """Runs a pilot on a camera's frames and drives the wheels through the gate.

    ``clock`` gives the time in ns that frames are stamped with: the monotonic clock
    on a car, the world's in a simulation faster than real time. :meth:`arm` and
    :meth:`stop` may be called from any thread, at any moment.
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
        self._arm_wanted_ns: int | None = None
        self._newest_ns: int | None = None
        self._answered = False
        self._lock = threading.RLock()

    def arm(self) -> None:
        """Ask to drive from the next fresh frame on.

        A wish that has not come true after two seconds, or when a frame is overdue, is void.
        """
        self._arm_wanted_ns = self._clock()

    def stop(self, reason: Reason = Reason.STOP_PRESSED) -> Verdict:
        """Bring the wheels to rest now; :meth:`arm` is needed to go on."""
        with self._lock:
            self._arm_wanted_ns = None
            verdict = self._gate.stop(reason)
            self._wheels.stop()
            return verdict

    def ticks(self) -> Generator[Tick]:
        """Drive for as long as the caller iterates; the wheels are at rest afterwards."""
        # What is loaded by now stays: the collector need not look through it while the car drives.
        gc.enable()
        gc.freeze()
        try:
            while True:
                yield self._tick()
        finally:
            gc.unfreeze()
            # Whoever else asks for STOP now must not read the answer to this one.
            with self._lock:
                self._wheels.stop()

    def _tick(self) -> Tick:
        try:
            frame = self._camera.read(self._patience_s())
            self._newest_ns = frame.time_ns
        except CameraTimeoutError:
            return self._without_frame()
        except CameraError:
            self.stop(Reason.CAMERA_STALLED)
            raise
        started, asked_ns = time.perf_counter_ns(), self._clock()
        scores: Scores = ()
        try:
            scores = self._pilot.scores(frame)
        except Exception:
            # Whatever a pilot does wrong, the wheels stop before anybody hears of it.
            self.stop(Reason.PILOT_FAILED)
            raise
        piloted = time.perf_counter_ns()
        with self._lock:
            if not self._answered and self._arm_wanted_ns is not None:
                # The first answer of all may take long, as whatever it needs is loaded: its time
                # does not count.
                self._arm_wanted_ns += self._clock() - max(asked_ns, self._arm_wanted_ns)
            self._answered = True
            verdict = self._judge(frame, scores)
        ended = time.perf_counter_ns()
        now_ns = self._clock()
        age_ns = now_ns - frame.time_ns
        thought_ns, other_ns = piloted - started, ended - piloted
        remark, mask = getattr(self._pilot, "remark", ""), getattr(self._pilot, "mask", None)
        return Tick(frame, scores, verdict, thought_ns, other_ns, age_ns, now_ns, remark, mask)

    def _patience_s(self) -> float:
        """Until the newest frame is too old; a full allowance while nothing is driven."""
        allowance_ns = int(self._gate.limits.frame_age_ms * MS)
        if self._newest_ns is None:
            return max(allowance_ns, _WISH_NS) / 1e9
        if not self._gate.armed:
            return allowance_ns / 1e9
        return max(0.0, (self._newest_ns + allowance_ns - self._clock()) / 1e9)

    def _judge(self, frame: Frame, scores: Scores) -> Verdict:
        now_ns = self._clock()
        gate = self._gate
        try:
            self._arm_if_wanted(now_ns, frame)
            was_armed = gate.armed
            blind = getattr(self._pilot, "blind", None)
            verdict = gate.decide(now_ns, look(frame), scores, blind)
            if verdict.reason is None:
                # Counted from the exposure: a slow pilot does not stretch how long it is trusted.
                expires_ns = frame.time_ns + int(gate.limits.command_ms * MS)
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

    def _arm_if_wanted(self, now_ns: int, frame: Frame) -> None:
        if self._arm_wanted_ns is None:
            return
        if now_ns - self._arm_wanted_ns > _WISH_NS:
            self._arm_wanted_ns = None
            self._gate.stop(Reason.STALE_FRAME)
        elif self._gate.arm(now_ns, frame.time_ns):
            self._arm_wanted_ns = None
            self._wheels.arm()

    def _without_frame(self) -> Tick:
        with self._lock:
            self._arm_wanted_ns = None
            was_armed = self._gate.armed
            verdict = self._gate.stop(Reason.CAMERA_STALLED)
            if was_armed:
                self._wheels.stop()
        return Tick(None, (), verdict, 0, 0, 0, self._clock())
