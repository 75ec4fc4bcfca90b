"""A recording as one picture: a sheet of frames, a bar for each command, a ribbon of time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np

from autcar.cameras.base import Image
from autcar.commands import LABELS
from autcar.images import read_image
from autcar.recording.session import Record

WIDTH = 1200
_GROUND, _TEXT, _SOFT, _LINE = (13, 17, 23), (233, 238, 244), (147, 161, 177), (44, 55, 68)
_FONT = cv2.FONT_HERSHEY_SIMPLEX

COLOURS: dict[str, tuple[int, int, int]] = {
    "left_light_backwards": (111, 150, 204),
    "left_light_forward": (116, 182, 255),
    "left_medium_backwards": (63, 111, 184),
    "left_medium_forward": (47, 143, 255),
    "move_fast_forward": (255, 197, 61),
    "move_medium_backwards": (155, 123, 234),
    "move_medium_forward": (53, 194, 122),
    "right_light_backwards": (204, 131, 111),
    "right_light_forward": (255, 162, 126),
    "right_medium_backwards": (184, 87, 63),
    "right_medium_forward": (255, 107, 53),
    "stop": (138, 151, 166),
}
"""Red, green, blue of each command, as in the cockpit."""


def session_picture(
    title: str, records: Sequence[Record], columns: int = 6, rows: int = 4
) -> Image:
    """A ``uint8`` RGB picture, :data:`WIDTH` wide. ``records`` is not empty."""
    parts = [_title(title, records), _sheet(records, columns, rows), _bars(records)]
    return np.concatenate([*parts, _ribbon(records)])


def _canvas(height: int) -> Image:
    return np.full((height, WIDTH, 3), _GROUND, np.uint8)


def _write(
    image: Image, text: str, x: int, y: int, size: float = 0.5, colour: tuple[int, ...] = _TEXT
) -> None:
    cv2.putText(image, text, (x, y), _FONT, size, colour, 1, cv2.LINE_AA)


def _title(title: str, records: Sequence[Record]) -> Image:
    canvas = _canvas(56)
    _write(canvas, title.encode("ascii", "replace").decode(), 16, 36, 0.8)
    times = [record.time_ns for record in records if record.time_ns is not None]
    seconds = f", {(times[-1] - times[0]) / 1e9:.0f} s" if len(times) > 1 else ""
    text = f"{len(records):,} frames{seconds}"
    (wide, _), _ = cv2.getTextSize(text, _FONT, 0.6, 1)
    _write(canvas, text, WIDTH - 16 - wide, 36, 0.6, _SOFT)
    return canvas


def _sheet(records: Sequence[Record], columns: int, rows: int) -> Image:
    chosen = np.linspace(0, len(records) - 1, min(columns * rows, len(records))).astype(int)
    wide = (WIDTH - 16) // columns - 8
    shape = read_image(records[chosen[0]].image).shape
    high = max(1, wide * shape[0] // shape[1])
    canvas = _canvas(-(-len(chosen) // columns) * (high + 26) + 8)
    for place, index in enumerate(chosen):
        x = 16 + place % columns * (wide + 8)
        y = 4 + place // columns * (high + 26)
        image = read_image(records[index].image)
        canvas[y : y + high, x : x + wide] = cv2.resize(image, (wide, high))
        label = records[index].command.label
        colour = COLOURS.get(label, _SOFT)
        cv2.rectangle(canvas, (x, y + high + 5), (x + 8, y + high + 13), colour, -1)
        _write(canvas, label.replace("_", " "), x + 14, y + high + 14, 0.4, _SOFT)
    return canvas


def _bars(records: Sequence[Record]) -> Image:
    counts = Counter(record.command.label for record in records)
    names = [*LABELS, *sorted(set(counts) - set(LABELS))]
    canvas = _canvas(20 + 22 * len(names))
    most = max(counts.values())
    for place, name in enumerate(names):
        y = 16 + 22 * place
        _write(canvas, name.replace("_", " "), 16, y + 12, 0.45)
        cv2.rectangle(canvas, (220, y), (1080, y + 14), _LINE, -1)
        right = 220 + round(860 * counts[name] / most)
        cv2.rectangle(canvas, (220, y), (right, y + 14), COLOURS.get(name, _SOFT), -1)
        share = f"{counts[name]:,}  {counts[name] / len(records):.0%}"
        _write(canvas, share, 1092, y + 12, 0.45, _TEXT if counts[name] else _SOFT)
    return canvas


def _ribbon(records: Sequence[Record]) -> Image:
    canvas = _canvas(72)
    wide = WIDTH - 32
    for x in range(wide):
        record = records[min(len(records) - 1, x * len(records) // wide)]
        canvas[10:44, 16 + x] = COLOURS.get(record.command.label, _SOFT)
    first = records[0].time_ns
    for mark in range(5):
        record = records[round(mark / 4 * (len(records) - 1))]
        seconds = ((record.time_ns or 0) - (first or 0)) / 1e9
        text = f"{seconds:.0f} s" if first is not None else f"{record.row}"
        (size, _), _ = cv2.getTextSize(text, _FONT, 0.4, 1)
        x = 16 + round(mark / 4 * (wide - size))
        _write(canvas, text, x, 62, 0.4, _SOFT)
    return canvas
