"""A second pilot that looks at the same frames and touches no wheel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from autcar.cameras.base import Frame
from edge.comparison import Comparison
from edge.loop import Tick
from edge.pilots import Pilot, Scores

_SPARE = 1.3
_FORGET = 0.98


class Shadow:
    """Asks ``pilot`` about frames whose command is already out, where there is time left.

    It thinks in the driving loop's thread between two frames, so it costs the driving
    pilot no core. A frame is skipped when the next one would be due before the shadow has
    decided; how long that takes is measured on ``sample``, before anybody drives, and then on.
    ``fps`` 0 is a simulation that waits: nothing is skipped. ``clock`` is the one of the
    frames. A shadow that fails is switched off; the car drives on.
    """

    def __init__(
        self,
        pilot: Pilot,
        names: tuple[str, str],
        fps: float,
        clock: Callable[[], int],
        sample: Frame,
    ) -> None:
        self._pilot = pilot
        self._period_ns = round(1e9 / fps) if fps else None
        self._clock = clock
        self._began_ns: int | None = None
        self.comparison = Comparison(*names)
        self.skipped = 0
        self.problem: str | None = None
        self._cost_ns = self._least_ns = 0.0
        with self._switching_off():
            # The first answer of all takes longer than any other, and one may be slow by chance.
            costs = [self._ask(sample)[1] for _ in range(5)]
            self._cost_ns = self._least_ns = min(costs)

    def consider(self, tick: Tick) -> Scores:
        """The shadow's 12 scores for this turn of the loop, empty when it was not asked."""
        frame = tick.frame
        if frame is None or len(tick.scores) == 0 or self.problem is not None:
            return ()
        began_ns = self._clock()
        if self._began_ns is None:
            self._began_ns = began_ns
        if self._period_ns is not None:
            left_ns = frame.time_ns + self._period_ns - began_ns
            if left_ns < self._cost_ns * _SPARE:
                self.skipped += 1
                # One slow answer must not silence it for good, nor one that never was quicker
                # be asked again.
                self._cost_ns = max(self._cost_ns * _FORGET, self._least_ns)
                return ()
        with self._switching_off():
            scores, cost_ns = self._ask(frame)
            self.comparison.add((began_ns - self._began_ns) / 1e9, tick.scores, scores)
            self._least_ns = min(self._least_ns, cost_ns)
            self._cost_ns = max(cost_ns, self._cost_ns * _FORGET)
            return scores
        return ()

    def _ask(self, frame: Frame) -> tuple[Scores, float]:
        """What it says of a frame, and how many ns that took."""
        started = time.perf_counter_ns()
        scores = self._pilot.scores(frame)
        return scores, float(time.perf_counter_ns() - started)

    @contextmanager
    def _switching_off(self) -> Iterator[None]:
        """Whatever the shadow does wrong, the car drives on without it."""
        try:
            yield
        except Exception as error:
            self.problem = f"the shadow failed and was switched off: {error!r}"

    def report(self) -> str:
        """Where the two disagreed, and how often the shadow was not asked."""
        lines = [self.comparison.report()]
        if self.skipped:
            lines.append(f"  not asked about {self.skipped:,} frames, for lack of time")
        if self.problem:
            lines.append(self.problem)
        return "\n".join(lines)
