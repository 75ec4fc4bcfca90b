"""Sessions, ours and AutCar's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from autcar.commands import Command
from autcar.recording.session import SOURCES, read_rows
from trainer.data.sources.columns import NOMINAL_INTERVAL_S, Columns, nominal_times_ns


def read_session_columns(folder: Path) -> Columns:
    """Read a session. Raises as :func:`~autcar.recording.session.read_rows` does."""
    session = read_rows(folder)
    day = session.info.get("started")
    columns = Columns(
        root=folder,
        paths=[f"{folder}/{record.image}" for record in session.rows],
        labels=np.array([r.command.nearest_class().index for r in session.rows], np.int16),
        times_ns=np.array([record.time_ns or 0 for record in session.rows], np.int64),
        groups=np.zeros(len(session.rows), np.int32),
        group_names=[folder.name],
        # The day, where it is known: light and place change with it.
        group_sources=[day[:10] if isinstance(day, str) else folder.name],
        sources=np.array([_source_code(r.source) for r in session.rows], np.uint8),
        problems=list(session.problems),
    )
    mapped = Counter(r.command.label for r in session.rows if not r.command.is_class)
    columns.notes += [
        f"{folder.name}: {count:,} frames of {label} taken as "
        f"{Command.from_label(label).nearest_class().label}"
        for label, count in sorted(mapped.items())
    ]
    if any(record.time_ns is None for record in session.rows):
        columns.times_ns = nominal_times_ns(len(columns))
        columns.notes.append(
            f"{folder.name}: no capture times; frames taken as {NOMINAL_INTERVAL_S} s apart"
        )
    elif np.any(np.diff(columns.times_ns) < 0):
        order = np.argsort(columns.times_ns, kind="stable")
        columns.paths = [columns.paths[i] for i in order]
        columns.labels, columns.sources = columns.labels[order], columns.sources[order]
        columns.times_ns = columns.times_ns[order]
        columns.notes.append(f"{folder.name}: rows put in the order of their capture times")
    return columns


def _source_code(source: str) -> int:
    return SOURCES.index(source if source in SOURCES else "unknown")
