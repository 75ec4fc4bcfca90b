"""A run as one picture: what the pilot thought, what was driven, and why it stopped."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from autcar.cameras.base import Image
from autcar.commands import LABELS
from edge.drive_log import LoggedDrive

Colour = tuple[int, int, int]

_WIDTH, _LEFT, _RIGHT = 1500, 190, 30
_ROW, _GAP, _TRACE = 20, 34, 90
_PAPER, _INK, _GREY, _RED = (252, 252, 250), (40, 40, 44), (205, 205, 202), (205, 45, 45)
_BLUE, _ORANGE = (38, 90, 190), (225, 130, 20)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_timeline(drive: LoggedDrive) -> Image:
    """The picture, RGB ``uint8``: time runs to the right.

    From above: the 12 probabilities (darker is more sure, the driven command framed in
    orange), confidence 0…1, wheel speeds, frame age in ms on the wheels. Red columns are
    at rest; blue ones are driven by a person.
    """
    columns = _WIDTH - _LEFT - _RIGHT
    height = 60 + 12 * _ROW + 3 * (_GAP + _TRACE) + 60
    image = np.empty((height, _WIDTH, 3), np.uint8)
    image[:] = _PAPER
    rows = _rows_by_column(drive, columns)
    decisions = drive.decisions
    _text(image, f"{drive.folder.name}: {drive.info.get('pilot', '')}", 10, 24, 0.55)
    top = 44
    scores = np.nan_to_num(decisions["scores"][rows]).clip(0, 1)
    for label, name in enumerate(LABELS):
        y = top + label * _ROW
        _text(image, name, 10, y + 14)
        tone = (1 - scores[:, label] * 0.85)[None, :, None] * np.array(_PAPER)
        image[y + 1 : y + _ROW - 1, _LEFT : _LEFT + columns] = tone.astype(np.uint8)
        driven = decisions["command"][rows] == label
        for edge in (y + 1, y + _ROW - 3):
            image[edge : edge + 2, _LEFT : _LEFT + columns][:, driven] = _ORANGE
    bottom = top + 12 * _ROW
    for flags, colour in (
        (decisions["reason"][rows] >= 0, _RED),
        (decisions["takeover"][rows], _BLUE),
    ):
        image[bottom : bottom + 8, _LEFT : _LEFT + columns][:, flags] = colour
    wheels = decisions["wheels"][rows]
    age_ms = decisions["age_ns"][rows] / 1e6
    highest = max(10.0, float(np.ceil(age_ms.max() / 10) * 10))
    y = bottom + _GAP
    left, right = ("left wheel", wheels[:, 0], _BLUE), ("right wheel", wheels[:, 1], _ORANGE)
    for low, high, lines in (
        (0.0, 1.0, (("confidence", decisions["confidence"][rows], _INK),)),
        (-1.0, 1.0, (left, right)),
        (0.0, highest, (("age at the wheel, ms", age_ms, _INK),)),
    ):
        _trace(image, y, low, high, lines)
        y += _GAP + _TRACE
    _seconds(image, y - _GAP + 16, float(drive.seconds[-1]), columns)
    if drive.reason:
        _text(image, f"stopped: {drive.reason}", 10, height - 14, 0.5, _RED)
    return image


def _rows_by_column(drive: LoggedDrive, columns: int) -> npt.NDArray[np.intp]:
    """For each column of pixels, the newest decision at its time."""
    seconds = drive.seconds
    times = np.linspace(0, seconds[-1], columns)
    return np.clip(np.searchsorted(seconds, times, side="right") - 1, 0, len(seconds) - 1)


def _trace(
    image: Image,
    top: int,
    low: float,
    high: float,
    lines: tuple[tuple[str, npt.NDArray[np.floating], Colour], ...],
) -> None:
    for value, y in ((high, top), (low, top + _TRACE)):
        cv2.line(image, (_LEFT, y), (_WIDTH - _RIGHT, y), _GREY, 1)
        _text(image, f"{value:g}", _LEFT - 34, y + 4, 0.35)
    for place, (name, values, colour) in enumerate(lines):
        _text(image, name, 10, top + _TRACE // 2 + 18 * place, colour=colour)
        share = (np.nan_to_num(values).clip(low, high) - low) / (high - low)
        ys = np.rint(top + _TRACE * (1 - share)).astype(np.int32)
        points = np.stack([_LEFT + np.arange(len(ys), dtype=np.int32), ys], axis=1)
        cv2.polylines(image, [points], False, colour, 1, cv2.LINE_AA)


def _seconds(image: Image, y: int, seconds: float, columns: int) -> None:
    step = next((s for s in (0.1, 1, 5, 10, 60, 300, 600) if seconds / s <= 15), 3600)
    for number in range(int(seconds / step) + 1):
        x = _LEFT + round(number * step / max(seconds, 1e-9) * (columns - 1))
        _text(image, f"{number * step:g} s", x, y, 0.4)


def _text(
    image: Image, text: str, x: int, y: int, size: float = 0.42, colour: Colour = _INK
) -> None:
    # OpenCV's letters are ASCII.
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(image, plain, (x, y), _FONT, size, colour, 1, cv2.LINE_AA)
