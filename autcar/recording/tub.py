"""Donkeycar tubs, version 2: ``manifest.json``, catalogs of JSON lines, and ``images/``.

A tub holds an angle (−1…1, + is right) and a throttle (−1…1, − is backwards)
with each image. :class:`TubMapping` states how these become commands. A tub that
:func:`write_tub` made also holds each command itself, so that nothing is guessed back.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autcar.commands import LABELS, Command
from autcar.errors import DataError, DataNotFoundError
from autcar.files import write_atomic
from autcar.images import decode_image, encode_jpeg

MANIFEST = "manifest.json"
RUN_GAP_S = 2.0
"""A pause longer than this ends a run: what follows was driven anew."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TubMapping:
    """How an angle and a throttle become one of the 12 commands.

    ``|angle| < straight`` is a move, ``< light`` a light turn, else a medium one.
    ``|throttle| < standing`` is a stop, a negative throttle goes backwards, and a
    straight move forward from ``fast_throttle`` on is fast. ``None`` takes the
    75th percentile of the tub's own straight forward throttle.
    """

    straight: float = 0.1
    light: float = 0.45
    standing: float = 0.03
    fast_throttle: float | None = None

    def fitted(self, angles: Floats, throttles: Floats) -> TubMapping:
        """This mapping with ``fast_throttle`` set.

        It is infinite (nothing is fast) where there is no straight driving or
        most of it has one throttle, so that fast and medium cannot be told apart.
        """
        if self.fast_throttle is not None:
            return self
        ahead = throttles[(np.abs(angles) < self.straight) & (throttles >= self.standing)]
        fast = float(np.percentile(ahead, 75)) if len(ahead) else math.inf
        if len(ahead) and np.mean(ahead >= fast) > 0.5:
            fast = math.inf
        return replace(self, fast_throttle=fast)

    def classes(self, angles: Floats, throttles: Floats) -> npt.NDArray[np.int16]:
        """The class of each pair, ``int16``, same length."""
        fast_from = self.fitted(angles, throttles).fast_throttle or 0.0
        sizes = np.abs(angles)
        forward = throttles >= 0
        straight = sizes < self.straight
        fast = straight & forward & (throttles >= fast_from)
        types = np.where(straight, "move_", np.where(angles < 0, "left_", "right_"))
        manners = np.where(straight | (sizes >= self.light), "medium_", "light_")
        manners = np.where(fast, "fast_", manners)
        labels = np.char.add(
            np.char.add(types, manners), np.where(forward, "forward", "backwards")
        )
        labels = np.where(np.abs(throttles) < self.standing, "stop", labels)
        return np.searchsorted(LABELS, labels).astype(np.int16)


@dataclass(frozen=True)
class Tub:
    """A tub as read, one row a frame, in the order driven.

    ``runs`` numbers the stretches without a pause over :data:`RUN_GAP_S`;
    ``by_human`` is false where the tub's own pilot drove. ``deleted`` counts the
    frames that the manifest flags as deleted, taken or not.
    """

    folder: Path
    images: list[Path]
    angles: Floats
    throttles: Floats
    times_ns: npt.NDArray[np.int64]
    runs: npt.NDArray[np.int32]
    by_human: npt.NDArray[np.bool_]
    deleted: int
    problems: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    """Each frame's label where :func:`write_tub` noted it, else empty."""


def is_tub(folder: Path) -> bool:
    """Whether ``folder`` is a Donkeycar tub of version 2."""
    return (folder / MANIFEST).is_file() and any(folder.glob("*.catalog"))


def read_tub(folder: str | Path, *, include_deleted: bool = False) -> Tub:
    """Read a tub. Lines that cannot be used are skipped and named in ``problems``.

    Raises :class:`DataNotFoundError` when there is no tub at ``folder``, and
    :class:`DataError` when its manifest cannot be read or no frame is left, also
    when that is because all are flagged as deleted.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataNotFoundError(f"there is no folder {folder}; check the path")
    if not is_tub(folder):
        raise DataNotFoundError(
            f"{folder} has no {MANIFEST} with catalogs, so it is no Donkeycar tub; check the path"
        )
    catalogs, deleted = _read_manifest(folder / MANIFEST)
    problems: list[str] = []
    present = {entry.name for entry in (folder / "images").glob("*")}
    rows: list[_Row] = []
    flagged = 0
    for catalog in catalogs:
        for row in _read_catalog(folder / catalog, present, problems):
            flagged += row.index in deleted
            if include_deleted or row.index not in deleted:
                rows.append(row)
    if not rows and flagged:
        raise DataError(
            f"{folder / MANIFEST} flags all {flagged:,} frames as deleted, so none is left; "
            f"to take them all the same, add --include-deleted (include_deleted=True)"
        )
    if not rows:
        detail = f"; first problem: {problems[0]}" if problems else ""
        raise DataError(f"{folder} has no usable frame{detail}; copy the tub again, whole")
    rows.sort(key=lambda row: row.index)
    times = np.array([row.time_ns for row in rows], np.int64)
    sessions = np.array([row.session for row in rows])
    steps = np.diff(times)
    starts = (steps > RUN_GAP_S * 1e9) | (steps < 0) | (sessions[1:] != sessions[:-1])
    return Tub(
        folder=folder,
        images=[folder / "images" / row.image for row in rows],
        angles=np.array([row.angle for row in rows], np.float64),
        throttles=np.array([row.throttle for row in rows], np.float64),
        times_ns=times,
        runs=np.concatenate([[0], np.cumsum(starts)]).astype(np.int32),
        by_human=np.array([row.mode == "user" for row in rows]),
        deleted=flagged,
        problems=problems,
        commands=[row.command for row in rows],
    )


@dataclass(frozen=True, slots=True)
class TubFrame:
    """One frame to be written: an image file, a command, a time in ns, and who drove."""

    image: Path
    command: Command
    time_ns: int
    by_human: bool = True
    deleted: bool = False


def write_tub(folder: str | Path, sessions: Sequence[Sequence[TubFrame]]) -> int:
    """Write a tub that Donkeycar 5 opens, with one of its sessions for each of ``sessions``.

    An angle and a throttle stand for each command so that :class:`TubMapping` with
    ``fast_throttle=0.75`` gives its class back. Images that are not JPEG are encoded
    anew. Returns how many frames; raises :class:`DataError` when ``folder`` is not empty.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise DataError(f"{folder} is not empty; name a new folder for the tub")
    (folder / "images").mkdir(parents=True)
    index = 0
    catalogs: list[str] = []
    lines: list[str] = []
    deleted: list[int] = []
    for number, frames in enumerate(sessions):
        for frame in frames:
            name = f"{index}_cam_image_array_.jpg"
            (folder / "images" / name).write_bytes(_as_jpeg(frame.image))
            lines.append(_tub_line(index, f"autcar_{number}", name, frame))
            if frame.deleted:
                deleted.append(index)
            index += 1
            if len(lines) == _CATALOG_LENGTH:
                catalogs.append(_write_catalog(folder, len(catalogs), index - len(lines), lines))
                lines = []
    if lines or not catalogs:
        catalogs.append(_write_catalog(folder, len(catalogs), index - len(lines), lines))
    names = [f"autcar_{number}" for number in range(len(sessions))]
    manifest = [
        list(_INPUTS),
        list(_INPUTS.values()),
        {},
        {
            "created_at": time.time(),
            "sessions": {
                "all_full_ids": names,
                "last_id": len(names) - 1,
                "last_full_id": names[-1],
            },
        },
        {
            "paths": catalogs,
            "current_index": index,
            "max_len": _CATALOG_LENGTH,
            "deleted_indexes": deleted,
        },
    ]
    write_atomic(folder / MANIFEST, "".join(json.dumps(line) + "\n" for line in manifest))
    return index


_CATALOG_LENGTH = 1000
_INPUTS = {
    "cam/image_array": "image_array",
    "user/angle": "float",
    "user/throttle": "float",
    "user/mode": "str",
    "autcar/command": "str",
}


def steering(command: Command) -> tuple[float, float]:
    """The angle and throttle, −1…1, that stand for a command in a tub."""
    if command.type == "stop":
        return 0.0, 0.0
    forward = 1.0 if command.direction == "forward" else -1.0
    if command.type == "move":
        return 0.0, forward * {"slow": 0.2, "medium": 0.5, "fast": 1.0}[str(command.manner)]
    size = {"light": 0.3, "medium": 0.7, "harsh": 1.0}[str(command.manner)]
    return (-size if command.type == "left" else size), forward * 0.5


def _tub_line(index: int, session: str, image: str, frame: TubFrame) -> str:
    angle, throttle = steering(frame.command)
    row = {
        "_index": index,
        "_session_id": session,
        "_timestamp_ms": frame.time_ns // 1_000_000,
        "autcar/command": frame.command.label,
        "cam/image_array": image,
        "user/angle": angle,
        "user/mode": "user" if frame.by_human else "local",
        "user/throttle": throttle,
    }
    return json.dumps(row, sort_keys=True) + "\n"


def _write_catalog(folder: Path, number: int, start: int, lines: list[str]) -> str:
    name = f"catalog_{number}.catalog"
    (folder / name).write_text("".join(lines), encoding="utf-8")
    about = {
        "created_at": time.time(),
        "line_lengths": [len(line) for line in lines],
        "path": f"{name}_manifest",
        "start_index": start,
    }
    (folder / f"{name}_manifest").write_text(json.dumps(about) + "\n", encoding="utf-8")
    return name


def _as_jpeg(image: Path) -> bytes:
    data = image.read_bytes()
    return data if data.startswith(b"\xff\xd8") else encode_jpeg(decode_image(data, str(image)))


@dataclass(frozen=True, slots=True)
class _Row:
    index: int
    session: str
    time_ns: int
    image: str
    angle: float
    throttle: float
    mode: str
    command: str

    @classmethod
    def parse(cls, text: str) -> _Row:
        """Read one line of a catalog. Raises ValueError saying what is wrong with it."""
        raw = json.loads(text)
        if not isinstance(raw, dict):
            raise ValueError("it is not an object with numbers for angle and throttle")
        try:
            row = cls(
                index=int(raw["_index"]),
                session=str(raw.get("_session_id", "")),
                time_ns=int(raw["_timestamp_ms"]) * 1_000_000,
                image=str(raw["cam/image_array"]),
                angle=float(raw["user/angle"]),
                throttle=float(raw["user/throttle"]),
                mode=str(raw.get("user/mode", "user")),
                command=str(raw.get("autcar/command", "")),
            )
        except KeyError as error:
            raise ValueError(f"it has no {error}") from error
        except (TypeError, OverflowError) as error:
            raise ValueError("it is not an object with numbers for angle and throttle") from error
        if not 0 <= row.time_ns < 2**63:
            raise ValueError(f"_timestamp_ms {raw['_timestamp_ms']} is no time in ms")
        if not (math.isfinite(row.angle) and math.isfinite(row.throttle)):
            raise ValueError(f"angle {row.angle} or throttle {row.throttle} is not finite")
        return row


def _read_manifest(path: Path) -> tuple[list[str], frozenset[int]]:
    """The names of the catalogs, and the indexes flagged as deleted."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        last: Any = json.loads(lines[-1])
        return [str(name) for name in last["paths"]], frozenset(last.get("deleted_indexes", ()))
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is not the manifest of a tub of version 2 ({error!r}): its last line "
            f"should name the catalogs; copy the tub again, whole"
        ) from error


def _read_catalog(path: Path, present: set[str], problems: list[str]) -> Iterable[_Row]:
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        problems.append(f"{path}: skipped: the manifest names it, but it is not there")
        return
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip(" \r\0"):
            continue
        try:
            row = _Row.parse(line)
        except ValueError as error:
            problems.append(f"{path}:{number}: skipped: {error}")
            continue
        if row.image not in present:
            problems.append(f"{path}:{number}: skipped: image {row.image} is not there")
            continue
        yield row
