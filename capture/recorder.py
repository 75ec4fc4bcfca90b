"""The recorder: shots in, a session on the card out, and never a wait for the camera.

Shots wait in a bounded queue for a thread that writes; another forces what was
written to the card, so that a busy card delays neither. What cannot be kept is
counted with its reason.
"""

from __future__ import annotations

import shutil
import threading
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Self

from autcar.cockpit.feed import Shot
from autcar.config import RecordSection
from autcar.errors import AutcarError, DataError
from autcar.recording.deletion import delete_rows, undo_delete
from autcar.recording.session import SYNC_INTERVAL_S, SessionWriter

OFF, RECORDING, PAUSED = "off", "recording", "paused"
SLOW_CARD = "the card is too slow"

_DISK_CHECK_S = 1.0


@dataclass(frozen=True)
class RecorderStatus:
    """What the recorder does, for showing.

    ``frames`` and ``counts`` (by label) are on file and not discarded; ``dropped``
    counts lost frames by reason, ``idle`` those left out because nobody drove.
    ``note`` says why recording ended by itself, and ``free_mb`` what the card has left.
    """

    state: str
    session: str | None
    frames: int
    seconds: float
    counts: dict[str, int]
    dropped: dict[str, int]
    idle: int
    discarded: int
    waiting: int
    free_mb: int
    note: str | None


@dataclass
class _Written:
    """The session being written, and what is known of its rows without reading it again."""

    writer: SessionWriter
    longest_gap_s: float
    times_ns: list[int] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    deleted: list[tuple[int, int]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, shot: Shot) -> None:
        """Note a row that is on file."""
        self.seconds += self._gap_s(self.times_ns[-1], shot.time_ns) if self.times_ns else 0.0
        self.times_ns.append(shot.time_ns)
        self.labels.append(shot.command.label)
        self.counts[shot.command.label] += 1

    def last(self, seconds: float) -> tuple[int, int] | None:
        """The rows, first and last, of the last ``seconds`` that are not discarded."""
        end = len(self.times_ns)
        for first, last in sorted(self.deleted, reverse=True):
            if last >= end - 1:
                end = min(end, first)
        if not end:
            return None
        since_ns = self.times_ns[end - 1] - round(seconds * 1e9)
        return bisect_left(self.times_ns, since_ns + 1, 0, end), end - 1

    def recount(self) -> None:
        """Work out anew what is not discarded."""
        gone = bytearray(len(self.times_ns))
        for first, last in self.deleted:
            gone[first : last + 1] = b"\1" * (last - first + 1)
        rows = [row for row, flag in enumerate(gone) if not flag]
        self.counts = Counter(self.labels[row] for row in rows)
        self.seconds = sum(
            self._gap_s(self.times_ns[before], self.times_ns[row])
            for before, row in pairwise(rows)
        )

    def _gap_s(self, before_ns: int, after_ns: int) -> float:
        return min((after_ns - before_ns) / 1e9, self.longest_gap_s)


class Recorder:
    """Writes sessions below ``folder``. Close it, or use it as a context manager.

    ``size`` is width and height in pixels of the shots' images. ``free_mb`` tells what
    the card has left; tests pass their own.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        size: tuple[int, int],
        fps: float,
        car: str = "autcar",
        settings: RecordSection | None = None,
        free_mb: Callable[[Path], int] | None = None,
    ) -> None:
        self._folder = Path(folder)
        self._size = size
        self._fps = fps
        self._car = car
        self._settings = settings or RecordSection()
        self._free_mb = free_mb or _free_mb
        self._ring: deque[Shot] = deque(maxlen=max(1, round(self._settings.keep_s * fps)))
        self._queue: deque[Shot] = deque()
        self._newest = -1
        self._state = OFF
        self._written: _Written | None = None
        self._writing = False
        self._dropped: Counter[str] = Counter()
        self._idle = 0
        self._note: str | None = None
        self._free_now = 0
        self._checked_s = float("-inf")
        self._closing = threading.Event()
        # _session is held while files are written, and taken first where both are;
        # _change guards the fields and is never held over a file, so nobody waits for it.
        # The writer alone waits for a change: at each frame, so nobody else is to wake.
        self._session = threading.RLock()
        guard = threading.RLock()
        self._change = threading.Condition(guard)
        self._settled = threading.Condition(guard)
        self._check_disk()
        self._threads = [
            threading.Thread(target=self._write, name="recorder", daemon=True),
            threading.Thread(target=self._sync, name="recorder-sync", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    # What a person asks for.

    def record(self) -> None:
        """Start recording, or go on after a pause.

        Raises :class:`DataError` on a full card, or one that is slow to write the last session.
        """
        self._must_have_room()
        if self._state == OFF:
            self._begin_anew()
        with self._change:
            self._note = None
            self._state = RECORDING

    def pause(self) -> None:
        """Stop taking frames; the session stays open."""
        with self._change:
            if self._state == RECORDING:
                self._state = PAUSED

    def toggle(self) -> None:
        """Pause while recording, else record. Raises as :meth:`record` does."""
        if self._state == RECORDING:
            self.pause()
        else:
            self.record()

    def finish(self, note: str | None = None) -> None:
        """End the session once what waits is written."""
        with self._change:
            self._state = OFF
            self._note = note
            self._change.notify_all()

    def discard(self, seconds: float) -> int:
        """Softly delete the last ``seconds`` that were recorded; returns how many frames."""
        self.settle()
        with self._session:
            written = self._written
            rows = written.last(seconds) if written else None
            if written is None or rows is None:
                return 0
            delete_rows(written.writer.folder, *rows)
            return -self._recount(written, [*written.deleted, rows])

    def undo(self) -> int:
        """Take the last discard back; returns how many frames are there again."""
        with self._session:
            written = self._written
            if written is None or not written.deleted:
                return 0
            # By its rows: a page may have deleted others since.
            undo_delete(written.writer.folder, written.deleted[-1])
            return self._recount(written, written.deleted[:-1])

    def save(self, seconds: float) -> int:
        """Keep the last ``seconds`` that were driven but not recorded; returns how many frames.

        Raises :class:`DataError` as :meth:`record` does.
        """
        self._must_have_room()
        if self._state == OFF:
            self._begin_anew()
        with self._change:
            if not self._ring:
                return 0
            since_ns = self._ring[-1].time_ns - round(seconds * 1e9)
            shots = [
                shot
                for shot in self._ring
                if shot.time_ns > since_ns and shot.sequence > self._newest and self._wanted(shot)
            ]
            self._enqueue(shots)
            return len(shots)

    # What the camera's thread calls.

    def offer(self, shot: Shot) -> None:
        """Take one shot, or count why not. Never waits for the card."""
        with self._change:
            self._ring.append(shot)
            if self._state != RECORDING:
                return
            if not self._wanted(shot):
                self._idle += 1
            elif len(self._queue) >= self._settings.queue:
                self._dropped[SLOW_CARD] += 1
            else:
                self._enqueue([shot])

    def status(self) -> RecorderStatus:
        """A snapshot."""
        with self._change:
            written = self._written
            return RecorderStatus(
                state=self._state,
                session=written.writer.folder.name if written else None,
                frames=written.counts.total() if written else 0,
                seconds=round(written.seconds, 1) if written else 0.0,
                counts=dict(written.counts) if written else {},
                dropped=dict(self._dropped),
                idle=self._idle,
                discarded=len(written.times_ns) - written.counts.total() if written else 0,
                waiting=len(self._queue),
                free_mb=self._free_now,
                note=self._note,
            )

    @property
    def folder(self) -> Path:
        """Where sessions are written."""
        return self._folder

    @property
    def open_session(self) -> Path | None:
        """The folder of the session that is being written or was written last."""
        written = self._written
        return written.writer.folder if written else None

    def settle(self, timeout_s: float = 5.0) -> bool:
        """Wait until nothing waits to be written; returns whether that came true."""
        with self._change:
            return self._settled.wait_for(lambda: not self._queue and not self._writing, timeout_s)

    def close(self) -> None:
        """Write what waits, close the session, end the threads. Closing twice is harmless."""
        self.finish(self._note)
        with self._change:
            self._closing.set()
            self._change.notify_all()
        for thread in self._threads:
            thread.join(30.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # The threads.

    def _wanted(self, shot: Shot) -> bool:
        return shot.source is not None or self._settings.idle

    def _enqueue(self, shots: list[Shot]) -> None:
        if shots:
            self._queue.extend(shots)
            self._newest = shots[-1].sequence
            self._change.notify_all()

    def _write(self) -> None:
        while True:
            with self._change:
                self._writing = False
                if not self._queue:
                    self._settled.notify_all()
                ready = self._change.wait_for(lambda: self._queue or self._closing.is_set(), 0.25)
                shot = self._queue.popleft() if self._queue else None
                self._writing = shot is not None
                closing = self._closing.is_set()
            if shot is not None:
                self._write_one(shot)
            elif closing:
                self._close_writer()
                return
            elif not ready and self._state == OFF:
                self._close_writer()
            self._check_disk()

    def _write_one(self, shot: Shot) -> None:
        try:
            with self._session:
                written = self._written or self._open()
                source = shot.source or "unknown"
                written.writer.append(shot.jpeg, shot.time_ns, shot.sequence, shot.command, source)
                with self._change:
                    written.add(shot)
        except (OSError, AutcarError) as error:
            with self._change:
                self._dropped[f"not written: {getattr(error, 'strerror', None) or error}"] += 1
                self._drop_waiting("recording had ended")
            self.finish(f"recording ended: {getattr(error, 'strerror', None) or error}")

    def _open(self) -> _Written:
        width, height = self._size
        writer = SessionWriter(
            self._folder,
            width=width,
            height=height,
            fps=self._fps,
            car=self._car,
            self_sync=False,
        )
        with self._change:
            self._written = _Written(writer, 2 / self._fps)
            return self._written

    def _begin_anew(self) -> None:
        """Leave the session of before: the next frame opens a new one."""
        if not self.settle():
            raise DataError("the card still writes the recording of before; try again in a moment")
        with self._session:
            self._close_writer()
            with self._change:
                self._written = None
                self._dropped.clear()
                self._idle = 0

    def _recount(self, written: _Written, deleted: list[tuple[int, int]]) -> int:
        with self._change:
            before = written.counts.total()
            written.deleted = deleted
            written.recount()
            return written.counts.total() - before

    def _close_writer(self) -> None:
        with self._session:
            if self._written is not None:
                # A full card must not keep the session from being closed.
                with suppress(OSError):
                    self._written.writer.close()

    def _drop_waiting(self, why: str) -> None:
        if self._queue:
            self._dropped[why] += len(self._queue)
            self._queue.clear()

    def _sync(self) -> None:
        synced = 0
        while not self._closing.wait(SYNC_INTERVAL_S):
            written = self._written
            if written is not None and written.writer.frames != synced:
                synced = written.writer.frames
                written.writer.sync()

    def _check_disk(self) -> None:
        now_s = time.monotonic()
        if now_s - self._checked_s < _DISK_CHECK_S:
            return
        self._checked_s = now_s
        try:
            self._free_now = self._free_mb(self._folder)
        except OSError as error:
            self._end("the card cannot be read", f"recording ended: {error.strerror or error}")
            return
        if self._free_now < self._settings.free_mb:
            self._end("the card is full", self._full())

    def _end(self, why: str, note: str) -> None:
        if self._state != OFF:
            with self._change:
                self._drop_waiting(why)
            self.finish(note)

    def _must_have_room(self) -> None:
        try:
            self._free_now = self._free_mb(self._folder)
        except OSError as error:
            raise DataError(f"{self._folder}: {error.strerror or error}") from error
        if self._free_now < self._settings.free_mb:
            raise DataError(self._full())

    def _full(self) -> str:
        return (
            f"the card is full: {self._free_now} MB free, recording needs "
            f"{self._settings.free_mb} MB; delete recordings, or lower [record] free_mb"
        )


def _free_mb(folder: Path) -> int:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free // 1_000_000
