"""The cockpit of a car that a pilot drives: watch it think, take over, hand back."""

from __future__ import annotations

import threading
from typing import Any

from autcar.cockpit.feed import Feed, Shot
from autcar.cockpit.server import Cockpit
from autcar.commands import CLASSES, STOP, Command
from autcar.config import Config
from autcar.images import encode_jpeg
from autcar.safety import MS
from autcar.vehicle import Vehicle
from edge.follower import tinted
from edge.loop import Loop, Tick
from edge.takeover import Takeover

_RATE_OVER = 20


class PilotCockpit:
    """Serves the page for ``loop``, which drives ``vehicle``'s wheels.

    Close it, or use it as a context manager. Pictures are encoded in a thread of their
    own, newest first, so that watching makes no command later.
    """

    def __init__(self, config: Config, vehicle: Vehicle, loop: Loop, name: str) -> None:
        self._name = name
        self._clock = vehicle.clock
        self._quality = config.record.quality
        self._tick: Tick | None = None
        self._times_ns: list[int] = []
        self._feed = Feed()
        self.helm = Takeover(
            loop,
            vehicle.wheels,
            link_ms=config.cockpit.link_ms,
            limits=config.safety,
            clock=vehicle.clock,
        )
        self._server = Cockpit(config.car.name, self.helm, self._feed, config.cockpit, pilot=self)
        self.url = self._server.start()
        self.pairing = self._server.pairing
        self._fresh = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._publish, name="pictures", daemon=True)
        self._thread.start()

    def see(self, tick: Tick) -> Command | None:
        """Hear of a turn of the loop; returns the command of a person who drove by its frame."""
        person: Command | None = None
        if tick.frame is not None:
            self.helm.saw(tick.frame.time_ns)
            command, source = self.helm.in_force(tick.frame.time_ns)
            person = command if source else None
            self._times_ns = [*self._times_ns[1 - _RATE_OVER :], tick.frame.time_ns]
        self.helm.tick()
        self._tick = tick
        self._fresh.set()
        return person

    def status(self) -> dict[str, Any]:
        """What the page shows of the pilot; ``scores`` are 12, None where it said nothing."""
        tick = self._tick
        found: dict[str, Any] = {"name": self._name, "driving": False, "scores": None}
        if tick is None:
            return found
        verdict, times = tick.verdict, self._times_ns
        span_ns = times[-1] - times[0] if len(times) > 1 else 0
        command = verdict.command
        return found | {
            "driving": verdict.reason is None,
            "scores": [round(float(score), 3) for score in tick.scores] or None,
            "command": None if command is None else CLASSES[command].label,
            "confidence": round(verdict.confidence, 3),
            "reason": verdict.reason.value if verdict.reason else None,
            "age_ms": round(tick.age_ns / MS, 1),
            "pilot_ms": round(tick.pilot_ns / MS, 2),
            "rate": round((len(times) - 1) * 1e9 / span_ns, 1) if span_ns > 0 else 0.0,
            "remark": tick.remark,
        }

    def hand_back(self) -> None:
        """Let the pilot drive again. Raises :class:`~autcar.helm.HelmError` if a person drives."""
        self.helm.hand_back()

    def close(self) -> None:
        """Bring the wheels to rest and end serving. Closing twice is harmless."""
        self._server.close()
        self._ending = True
        self._fresh.set()
        self._thread.join(2.0)

    def __enter__(self) -> PilotCockpit:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _publish(self) -> None:
        published = -1
        while not self._ending:
            self._fresh.wait(1.0)
            self._fresh.clear()
            tick = self._tick
            frame = tick.frame if tick else None
            if tick is None or frame is None or frame.sequence == published:
                continue
            published = frame.sequence
            command, source = self.helm.in_force(frame.time_ns)
            if source is None and tick.verdict.command is not None:
                command, source = CLASSES[tick.verdict.command], "pilot"
            elif source is None:
                command = STOP
            image = frame.image if tick.mask is None else tinted(frame.image, tick.mask)
            jpeg = encode_jpeg(image, self._quality)
            self._feed.publish(Shot(jpeg, frame.sequence, frame.time_ns, command, source))
