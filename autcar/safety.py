"""The gate: pure logic between a pilot and the motors.

It is told what was seen and what the pilot said, with the time passed in, and
answers with wheel speeds. Anything wrong latches STOP; going on takes an
explicit :meth:`Gate.arm` with a fresh frame. No NumPy, no I/O, no clock.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autcar.commands import CLASSES

MS = 1_000_000
"""Nanoseconds in a millisecond."""


@dataclass(frozen=True)
class Limits:
    """When the gate stops the car. Times in ms, luma 0…255, shares and speeds 0…1."""

    frame_age_ms: float = field(
        default=250.0, metadata={"help": "stop when the newest frame is older than this"}
    )
    command_ms: float = field(
        default=250.0, metadata={"help": "a command expires this long after its frame"}
    )
    frozen_ms: float = field(
        default=700.0, metadata={"help": "stop when every frame was the same for this long"}
    )
    dark_luma: float = field(
        default=8.0, metadata={"help": "mean brightness below which the lens is covered"}
    )
    bright_luma: float = field(
        default=250.0, metadata={"help": "mean brightness above which glare blinds the camera"}
    )
    flat_contrast: float = field(
        default=2.0, metadata={"help": "standard deviation below which a picture shows nothing"}
    )
    blind_ms: float = field(
        default=150.0, metadata={"help": "stop after dark, glaring or flat pictures for this long"}
    )
    confidence: float = field(
        default=0.2, metadata={"help": "a pilot less sure than this is not trusted"}
    )
    unsure_ms: float = field(
        default=350.0, metadata={"help": "stop when the pilot was unsure for this long"}
    )
    window: int = field(
        default=1, metadata={"help": "frames whose scores are averaged before deciding"}
    )
    speed: float = field(default=1.0, metadata={"help": "top speed, as a fraction of full"})

    def bounded(self, left: float, right: float) -> tuple[float, float]:
        """Wheel speeds with neither beyond the top speed, slowed alike so that the curve stays."""
        top = max(0.0, self.speed)
        scale = min(1.0, top / max(abs(left), abs(right), 1e-9))
        return left * scale, right * scale


class Reason(enum.Enum):
    """Why the wheels are at rest."""

    DISARMED = "not armed"
    STOP_PRESSED = "stop pressed"
    STALE_FRAME = "the camera's newest frame is too old"
    CAMERA_STALLED = "the camera gives no frames"
    FROZEN_IMAGE = "the camera repeats the same image"
    LENS_COVERED = "the picture is black: is the lens covered?"
    GLARE = "the picture is white: glare"
    FLAT_IMAGE = "the picture shows nothing"
    BAD_OUTPUT = "the pilot's output is not a set of finite scores, one per command"
    LOW_CONFIDENCE = "the pilot is unsure"
    PILOT_FAILED = "the pilot failed"
    TIME_WENT_BACK = "the clock or the frame numbers went backwards"
    LINK_LOST = "the driver's link is lost"
    TAKEN_OVER = "a person has taken over"
    EXPIRED = "a command expired before the next one came"
    GUARDIAN_LOST = "the guardian of the motors is gone"


BLIND_LABELS: Mapping[str, Reason] = {
    "black_screen": Reason.LENS_COVERED,
    "white_screen": Reason.GLARE,
}
"""Classes that a bundle may have beside the 12 commands: what its pilot saw is no road."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What the gate needs to know of a frame.

    ``mean`` and ``contrast`` are the mean and standard deviation of its
    brightness, 0…255. ``fingerprint`` is equal for equal images.
    """

    sequence: int
    time_ns: int
    mean: float
    contrast: float
    fingerprint: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the wheels are to do.

    ``left`` and ``right`` are −1…1 of full speed, at rest unless ``reason`` is
    None. ``command`` is the class 0…11 that was chosen, None when stopped.
    """

    left: float
    right: float
    command: int | None
    confidence: float
    reason: Reason | None


class Gate:
    """Decides, frame by frame, whether the pilot's word reaches the wheels."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.reason: Reason | None = Reason.DISARMED
        self._reset()

    def _reset(self) -> None:
        self._last: Sight | None = None
        self._now_ns: int | None = None
        self._changed_ns: int | None = None
        self._clear_ns: int | None = None
        self._sure_ns: int | None = None
        self._scores: deque[Sequence[float]] = deque(maxlen=max(1, self.limits.window))

    @property
    def armed(self) -> bool:
        """Whether the pilot's word reaches the wheels."""
        return self.reason is None

    def arm(self, now_ns: int, frame_time_ns: int) -> bool:
        """Let the pilot drive, if its newest frame is fresh. Returns whether it may."""
        age_ns = now_ns - frame_time_ns
        if not 0 <= age_ns <= self.limits.frame_age_ms * MS:
            return False
        self._reset()
        self.reason = None
        return True

    def stop(self, reason: Reason = Reason.STOP_PRESSED) -> Verdict:
        """Latch STOP. The first reason stands until the gate is armed again."""
        if self.reason is None or self.reason is Reason.DISARMED:
            self.reason = reason
        return Verdict(0.0, 0.0, None, 0.0, self.reason)

    def decide(
        self, now_ns: int, sight: Sight, scores: Sequence[float], blind: Reason | None = None
    ) -> Verdict:
        """Judge one frame and the pilot's 12 scores for it.

        ``blind`` is why the pilot itself took the picture for no road, None if it did not.
        """
        if self.reason is not None:
            return self.stop(self.reason)
        fault = self._camera_fault(now_ns, sight, blind)
        if fault is None and not _is_distribution(scores):
            fault = Reason.BAD_OUTPUT
        if fault is not None:
            return self.stop(fault)
        self._scores.append(scores)
        count = len(self._scores)
        # Adding up a single frame's scores took a third of the gate's time.
        mean = scores
        if count > 1:
            mean = [sum(column) / count for column in zip(*self._scores, strict=True)]
        confidence = max(mean)
        if confidence >= self.limits.confidence or self._sure_ns is None:
            self._sure_ns = now_ns
        if now_ns - self._sure_ns > self.limits.unsure_ms * MS:
            return self.stop(Reason.LOW_CONFIDENCE)
        index = mean.index(confidence)
        left, right = self.limits.bounded(*CLASSES[index].wheels)
        return Verdict(left, right, index, confidence, None)

    def _camera_fault(self, now_ns: int, sight: Sight, blind: Reason | None) -> Reason | None:
        limits, last = self.limits, self._last
        if (self._now_ns is not None and now_ns < self._now_ns) or sight.time_ns > now_ns:
            return Reason.TIME_WENT_BACK
        if now_ns - sight.time_ns > limits.frame_age_ms * MS:
            return Reason.STALE_FRAME
        if last is not None and (sight.sequence <= last.sequence or sight.time_ns <= last.time_ns):
            return Reason.TIME_WENT_BACK
        self._now_ns = now_ns
        self._last = sight
        if last is None or sight.fingerprint != last.fingerprint or self._changed_ns is None:
            self._changed_ns = now_ns
        if now_ns - self._changed_ns > limits.frozen_ms * MS:
            return Reason.FROZEN_IMAGE
        blind = self._blindness(sight) or blind
        if blind is None or self._clear_ns is None:
            self._clear_ns = now_ns
        if now_ns - self._clear_ns > limits.blind_ms * MS:
            return blind
        return None

    def _blindness(self, sight: Sight) -> Reason | None:
        if not (math.isfinite(sight.mean) and sight.mean >= self.limits.dark_luma):
            return Reason.LENS_COVERED
        if sight.mean > self.limits.bright_luma:
            return Reason.GLARE
        if not sight.contrast >= self.limits.flat_contrast:
            return Reason.FLAT_IMAGE
        return None


def _is_distribution(scores: Sequence[float]) -> bool:
    """Whether there is one score per command, each 0…1 within rounding: no NaN is."""
    return len(scores) == len(CLASSES) and all(-0.01 <= score <= 1.01 for score in scores)
