"""The drive log: every decision of a run, in bounded and crash-safe files.

A run is a folder: ``run.json`` (who drove what, and how it ended), ``decisions.bin``
(one record of fixed size a turn of the loop, each with its checksum) and, where
asked for, ``frames/``, a session of the pictures. A thread of its own writes; the
loop only leaves its ticks in a bounded queue and never waits for the card. When
``decisions.bin`` has its full size it becomes ``decisions.old.bin``: the newest
decisions are kept.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from autcar.cameras.base import Camera, Frame
from autcar.commands import CLASSES, LABELS, STOP, Command
from autcar.errors import AutcarError, DataError, DataNotFoundError
from autcar.files import new_folder, write_atomic
from autcar.recording.session import Record, SessionWriter, is_session, read_session
from autcar.safety import Reason
from edge.loop import Tick
from edge.pilots import Scores, chosen

SCHEMA = 1
INFO, DECISIONS, OLD_DECISIONS, FRAMES = "run.json", "decisions.bin", "decisions.old.bin", "frames"

DECISION = np.dtype(
    [
        ("time_ns", "<i8"),
        ("frame_ns", "<i8"),
        ("sequence", "<i8"),
        ("pilot_ns", "<i8"),
        ("overhead_ns", "<i8"),
        ("age_ns", "<i8"),
        ("scores", "<f4", len(LABELS)),
        ("shadow", "<f4", len(LABELS)),
        ("wheels", "<f4", 2),
        ("confidence", "<f4"),
        ("command", "i1"),
        ("reason", "i1"),
        ("takeover", "?"),
        ("spare", "u1"),
        ("checksum", "<u4"),
    ]
)
"""One decision. ``time_ns`` is when it was out, on the clock of the frames; ``frame_ns``
and ``sequence`` are the frame's (0 and −1 without one). Scores that were not given are
NaN. ``command`` is the class that the wheels were told, −1 at rest; ``reason`` an index
into ``run.json``'s ``reasons``, −1 while driving; ``takeover`` says that a person drove."""

_PACKED = struct.Struct("<6q24f3fbb?xI")
_BODY = _PACKED.size - 4
assert _PACKED.size == DECISION.itemsize
# Linux alone can leave out the file's times.
_sync = getattr(os, "fdatasync", os.fsync)

_REASONS = tuple(Reason)
_SILENT = (math.nan,) * len(LABELS)

WRITE_INTERVAL_S = 0.2
SYNC_INTERVAL_S = 0.5
"""A power cut loses at most the two together."""

_QUEUE = 128
_FLOAT32 = 3.4e38
_LARGEST_MB = 64.0
_DISK_CHECK_S = 1.0


@dataclass(frozen=True, slots=True)
class _Entry:
    tick: Tick
    frame: Frame | None
    shadow: Scores
    person: Command | None


class DriveLog:
    """Writes one run below ``parent``. Close it, or use it as a context manager.

    ``about`` is kept in ``run.json`` (JSON-able). With ``camera``, the frames are kept,
    too, for as long as the card has ``free_mb`` left. ``largest_mb`` bounds the
    decisions. A ``patient`` log makes :meth:`note` wait for the card instead of losing
    a tick: for simulations faster than real time, where nothing is late.
    """

    def __init__(
        self,
        parent: str | Path,
        about: Mapping[str, Any],
        *,
        camera: Camera | None = None,
        quality: int = 90,
        largest_mb: float = _LARGEST_MB,
        free_mb: int = 500,
        patient: bool = False,
    ) -> None:
        name = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        self.folder = new_folder(Path(parent), name)
        self.lost = 0
        self.problem: str | None = None
        self._info: dict[str, Any] = {
            "schema": SCHEMA,
            **about,
            "labels": list(LABELS),
            "reasons": [reason.value for reason in _REASONS],
            "started": datetime.now(UTC).isoformat(),
            "ended": None,
        }
        self._write_info()
        self._file = open(self.folder / DECISIONS, "ab", buffering=0)  # noqa: SIM115 - close()
        self._largest = int(largest_mb * 1e6 / 2)
        self._size = 0
        self._free_mb = free_mb
        self._patient = patient
        self._driving = False
        self._synced_s = self._checked_s = time.monotonic()
        self._frames: SessionWriter | None = None
        if camera is not None:
            self._frames = SessionWriter(
                self.folder,
                width=camera.width,
                height=camera.height,
                fps=camera.fps,
                name=FRAMES,
                quality=quality,
                self_sync=False,
            )
        self._with_frames = self._frames is not None
        self._queue: deque[_Entry] = deque()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="drive log", daemon=True)
        self._thread.start()

    def note(self, tick: Tick, shadow: Scores = (), person: Command | None = None) -> None:
        """Take one tick; ``person`` is the command of a person who drove at that moment.

        Never waits, but for a patient log; what finds no room is counted in :attr:`lost`.
        """
        if self._patient:
            while len(self._queue) >= _QUEUE and self._thread.is_alive():
                time.sleep(0.001)
        if len(self._queue) >= _QUEUE:
            self.lost += 1
            return
        self._queue.append(_Entry(tick, tick.frame if self._with_frames else None, shadow, person))

    def close(self, facts: Mapping[str, Any] | None = None) -> None:
        """Write what waits, and ``facts`` of the whole run. Closing twice is harmless."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._thread.join(10.0)
        self._info |= {
            **(facts or {}),
            "ended": datetime.now(UTC).isoformat(),
            "lost": self.lost,
            "problem": self.problem,
        }
        try:
            self._write_info()
        except OSError as error:
            self._give_up(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # The thread.

    def _work(self) -> None:
        try:
            while not self._closing.wait(0.001 if self._patient else WRITE_INTERVAL_S):
                self._drain()
            self._drain()
            _sync(self._file.fileno())
        except Exception as error:
            # Driving goes on without a log, whatever a pilot of somebody's own may have said.
            self._give_up(error)
        finally:
            self._file.close()
            self._close_frames()

    def _drain(self) -> None:
        entries = []
        while self._queue:
            entries.append(self._queue.popleft())
        # Decisions first: they say why the car stopped, even where a frame cannot be kept.
        if entries:
            self._append(bytearray(b"".join(map(_pack, entries))))
        now_s = time.monotonic()
        due = now_s - self._synced_s >= SYNC_INTERVAL_S
        if due:
            self._synced_s = now_s
            _sync(self._file.fileno())
        try:
            self._keep_frames(entries)
            if due and self._frames is not None:
                self._frames.sync()
                self._mind_the_card(now_s)
        except (OSError, AutcarError) as error:
            self._end_frames(getattr(error, "strerror", None) or str(error))

    def _append(self, packed: bytearray) -> None:
        if self._size and self._size + len(packed) > self._largest:
            self._file.close()
            (self.folder / DECISIONS).replace(self.folder / OLD_DECISIONS)
            self._file = open(self.folder / DECISIONS, "ab", buffering=0)  # noqa: SIM115
            self._size = 0
        if self._file.write(packed) != len(packed):
            self._file.truncate(self._size)
            raise OSError(None, "the card is full")
        self._size += len(packed)

    def _keep_frames(self, entries: Sequence[_Entry]) -> None:
        for entry in entries:
            if self._frames is not None:
                self._keep_frame(entry)

    def _keep_frame(self, entry: _Entry) -> None:
        """Keep a frame that somebody drove by, and the one that stopped the car."""
        was_driving, verdict = self._driving, entry.tick.verdict
        self._driving = verdict.reason is None or entry.person is not None
        if entry.frame is None or not (self._driving or was_driving):
            return
        assert self._frames is not None
        if entry.person is not None:
            self._frames.write(entry.frame, entry.person, "takeover")
        else:
            self._frames.write(entry.frame, _word(entry.tick), "pilot")

    def _mind_the_card(self, now_s: float) -> None:
        if now_s - self._checked_s < _DISK_CHECK_S:
            return
        self._checked_s = now_s
        free_mb = shutil.disk_usage(self.folder).free // 1_000_000
        if free_mb < self._free_mb:
            self._end_frames(f"{free_mb} MB free, {self._free_mb} MB are kept free")

    def _end_frames(self, why: str) -> None:
        self._close_frames()
        self.problem = f"frames ended: {why}"

    def _close_frames(self) -> None:
        if self._frames is not None:
            frames, self._frames = self._frames, None
            try:
                frames.close()
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.problem = f"the log ended: {getattr(error, 'strerror', None) or error}"

    def _write_info(self) -> None:
        text = json.dumps(self._info, indent=2, ensure_ascii=False, default=str)
        write_atomic(self.folder / INFO, text + "\n")


def _word(tick: Tick) -> Command:
    """What the pilot said of a frame: what was driven, else its likeliest command."""
    if tick.verdict.command is not None:
        return CLASSES[tick.verdict.command]
    finite = len(tick.scores) == len(CLASSES) and all(map(math.isfinite, tick.scores))
    return chosen(tick.scores) if finite else STOP


def _pack(entry: _Entry) -> bytes:
    tick, verdict = entry.tick, entry.tick.verdict
    body = _PACKED.pack(
        tick.time_ns,
        tick.frame_ns,
        tick.sequence,
        tick.pilot_ns,
        tick.overhead_ns,
        tick.age_ns,
        *_twelve(tick.scores),
        *_twelve(entry.shadow),
        verdict.left,
        verdict.right,
        verdict.confidence,
        -1 if verdict.command is None else verdict.command,
        -1 if verdict.reason is None else _REASONS.index(verdict.reason),
        entry.person is not None,
        0,
    )[:_BODY]
    return body + zlib.crc32(body).to_bytes(4, "little")


def _twelve(scores: Scores) -> Sequence[float]:
    """Twelve numbers that fit ``float32``."""
    if len(scores) != len(_SILENT):
        return _SILENT
    return [math.copysign(math.inf, x) if abs(x) > _FLOAT32 else x for x in scores]


@dataclass(frozen=True)
class LoggedDrive:
    """A run as read: ``decisions`` has dtype :data:`DECISION`, oldest first.

    ``problems`` names what was skipped and why, ``frames`` holds the kept frames' records
    by sequence number.
    """

    folder: Path
    info: dict[str, Any]
    decisions: npt.NDArray[np.void]
    frames: dict[int, Record] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def reason(self) -> str | None:
        """Why the car stopped at the end; None when it was driving until the log ended."""
        index = int(self.decisions["reason"][-1])
        return None if index < 0 else str(self.info["reasons"][index])

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """When each decision was out, in seconds since the first."""
        times = self.decisions["time_ns"]
        return np.asarray((times - times[0]) / 1e9, np.float64)


def read_drive(folder: str | Path) -> LoggedDrive:
    """Read a run, also one that a crash or a power cut ended.

    Raises :class:`DataNotFoundError` where there is none, :class:`DataError` when its
    ``run.json`` cannot be read or it holds not one whole decision.
    """
    folder = Path(folder)
    try:
        info = json.loads((folder / INFO).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise DataNotFoundError(
            f"{folder} is no run ({INFO} is missing); make one with `autcar drive --log drives`"
        ) from None
    except ValueError as error:
        raise DataError(f"{folder / INFO} cannot be read ({error}); drive again") from error
    if not isinstance(info, dict) or info.get("schema") != SCHEMA:
        raise DataError(f"{folder / INFO} is not of schema {SCHEMA}; use the autcar that wrote it")
    problems: list[str] = []
    parts = [_read_decisions(folder / name, problems) for name in (OLD_DECISIONS, DECISIONS)]
    decisions = np.concatenate(parts)
    if not len(decisions):
        raise DataError(f"{folder} holds no whole decision; drive again")
    frames = {}
    if is_session(folder / FRAMES):
        try:
            session = read_session(folder / FRAMES)
        except DataError as error:
            problems.append(str(error))
        else:
            frames = {record.sequence: record for record in session.records}
            problems += session.problems
    return LoggedDrive(folder, info, decisions, frames, problems)


def _read_decisions(path: Path, problems: list[str]) -> npt.NDArray[np.void]:
    data = path.read_bytes() if path.is_file() else b""
    whole = len(data) // _PACKED.size
    if len(data) % _PACKED.size:
        problems.append(f"{path}: skipped: the last decision is torn")
    view = memoryview(data)
    good = np.array(
        [
            zlib.crc32(view[at : at + _BODY])
            == int.from_bytes(view[at + _BODY : at + _PACKED.size], "little")
            for at in range(0, whole * _PACKED.size, _PACKED.size)
        ],
        bool,
    )
    if not good.all():
        problems.append(f"{path}: skipped: {np.count_nonzero(~good)} damaged decisions")
    decisions: npt.NDArray[np.void] = np.frombuffer(data, DECISION, whole)[good]
    return decisions
