"""What long work tells while it goes on: to a terminal, to plain lines, to a log, or to nobody."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class Progress:
    """Hears how the work goes on. This one listens and says nothing; subclass it."""

    def say(self, text: str) -> None:
        """A line that stays: a stage begun, a result, a warning."""

    def step(self, what: str, done: int, total: int) -> None:
        """``done`` of ``total`` of ``what`` (such as ``"epoch 3, training"``: images) are done."""


class LineProgress(Progress):
    """Plain lines; a long stretch of work speaks up every ``interval_s`` seconds."""

    def __init__(self, stream: TextIO | None = None, interval_s: float = 15.0) -> None:
        self._stream = stream
        self._interval_s = interval_s
        self._what = ""
        self._started = self._spoke = 0.0

    def say(self, text: str) -> None:  # noqa: D102
        print(text, file=self._stream or sys.stdout, flush=True)

    def step(self, what: str, done: int, total: int) -> None:  # noqa: D102
        now = time.monotonic()
        if what != self._what:
            self._what, self._started, self._spoke = what, now, now
        elif now - self._spoke >= self._interval_s and 0 < done < total:
            self._spoke = now
            rate = done / (now - self._started)
            left = (total - done) / rate
            self.say(f"  {what}: {done:,} of {total:,}, {_rate(rate)}, {left:.0f} s to go")


class TerminalProgress(Progress):
    """One moving bar at the foot of a terminal, results above it. Needs rich."""

    def __init__(self) -> None:
        from rich import progress

        self._bar = progress.Progress(
            progress.TextColumn("  {task.description}"),
            progress.BarColumn(24),
            progress.TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TimeRemainingColumn(),
            transient=True,
        )
        self._what = ""
        self._started = 0.0
        self._task: progress.TaskID | None = None

    def say(self, text: str) -> None:  # noqa: D102
        self._end()
        self._bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def step(self, what: str, done: int, total: int) -> None:  # noqa: D102
        if what != self._what or self._task is None:
            self._end()
            self._what, self._started = what, time.monotonic()
            self._task = self._bar.add_task(what, total=total, rate="")
            self._bar.start()
        rate = done / max(time.monotonic() - self._started, 1e-6)
        self._bar.update(self._task, completed=done, rate=_rate(rate) if done else "")
        if done >= total:
            self._end()

    def _end(self) -> None:
        if self._task is not None:
            self._bar.stop()
            self._bar.remove_task(self._task)
            self._task = None


def _rate(a_second: float) -> str:
    return f"{a_second:,.0f}/s" if a_second >= 10 else f"{a_second:.1f}/s"


class LogProgress(Progress):
    """Passes everything on to ``inner`` and keeps each line that stays in the file ``log``."""

    def __init__(self, log: TextIO, inner: Progress) -> None:
        self._log = log
        self._inner = inner

    def say(self, text: str) -> None:  # noqa: D102
        self._log.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        self._log.flush()
        self._inner.say(text)

    def step(self, what: str, done: int, total: int) -> None:  # noqa: D102
        self._inner.step(what, done, total)


def terminal_progress() -> Progress:
    """The right one for this process's standard output."""
    if sys.stdout.isatty():
        try:
            return TerminalProgress()
        except ImportError:
            pass
    return LineProgress()
