"""Soft deletion: ``deleted.json`` lists ranges of rows, and the last can be taken back.

They stand in the order in which they were deleted. Rows count from 0, one a line of
``training.csv``.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

from autcar.errors import DataError
from autcar.files import write_atomic

DELETED = "deleted.json"

# The recorder's thread and those of the cockpit's pages read the list, change it and write it.
_changing = threading.Lock()


def deletions(folder: Path) -> list[tuple[int, int]]:
    """The ranges of rows (first, last) that were softly deleted, oldest deletion first."""
    try:
        ranges = json.loads((folder / DELETED).read_text(encoding="utf-8"))["deleted"]
        return [_range(int(first), int(last)) for first, last in ranges]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(
            f"{folder / DELETED} is not a list of row ranges ({error!r}); delete it, and all "
            f"frames are there again"
        ) from error


def deleted_rows(folder: Path, rows: int) -> set[int]:
    """Which of the first ``rows`` rows are softly deleted."""
    return {row for first, last in deletions(folder) for row in range(first, min(last + 1, rows))}


def delete_rows(folder: Path, first: int, last: int) -> None:
    """Softly delete the rows ``first`` to ``last``, both included."""
    try:
        rows = _range(first, last)
    except ValueError as error:
        raise DataError(f"{error}; give the first one first") from None
    with _changing:
        _write_deletions(folder, [*deletions(folder), rows])


def undo_delete(folder: Path, rows: tuple[int, int] | None = None) -> tuple[int, int] | None:
    """Take back the last deletion, or the last of just ``rows``, first and last.

    Returns its range, or None when there is none.
    """
    with _changing:
        ranges = deletions(folder)
        found = [index for index, each in enumerate(ranges) if rows in (None, each)]
        if not found:
            return None
        taken = ranges.pop(found[-1])
        _write_deletions(folder, ranges)
        return taken


def _range(first: int, last: int) -> tuple[int, int]:
    if not 0 <= first <= last:
        raise ValueError(f"rows {first} to {last} are no range")
    return first, last


def _write_deletions(folder: Path, ranges: list[tuple[int, int]]) -> None:
    if ranges:
        write_atomic(folder / DELETED, json.dumps({"deleted": ranges}) + "\n")
    else:
        (folder / DELETED).unlink(missing_ok=True)
