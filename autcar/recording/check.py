"""A doctor for recordings: what is wrong with one, and what to do about it."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import cv2
import numpy as np
import numpy.typing as npt

from autcar.cameras.base import Frame, Image
from autcar.commands import CLASSES, LABELS
from autcar.errors import DataError
from autcar.frame_statistics import look
from autcar.images import decode_image
from autcar.recording.session import Record, Session
from autcar.safety import Limits

GOOD, NOTE, BAD = "good", "note", "bad"

SHIFTS = range(-10, 11)
"""Frames by which commands are shifted to find how late the picture answers."""

_RARE = 0.02
_COMMON = 0.7
_SURE = 0.25
_FEWEST = 150
_PAUSE_S = 2.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: how bad it is (``good``, ``note``, ``bad``), what, and what to do."""

    level: str
    what: str
    advice: str = ""


@dataclass(frozen=True)
class Look:
    """What each picture is like, one entry a frame, in the recording's order.

    ``mean`` and ``contrast`` are brightness and its deviation, 0…255; ``sharpness`` is
    the variance of the Laplacian; ``twin`` says whether a picture is byte for byte the
    one before; ``shift`` is by how many thumbnail pixels the scene moved to the right
    since the one before (NaN where that cannot be told).
    """

    mean: Floats
    contrast: Floats
    sharpness: Floats
    twin: npt.NDArray[np.bool_]
    shift: Floats
    damaged: list[str]


def examine(
    records: Sequence[Record], progress: Callable[[int, int], None] = lambda done, total: None
) -> Look:
    """Look at every picture once."""
    count = len(records)
    mean, contrast, sharpness, shift = (np.full(count, np.nan) for _ in range(4))
    twin = np.zeros(count, np.bool_)
    damaged = []
    before, hash_before = None, b""
    for index, record in enumerate(records):
        try:
            data = record.image.read_bytes()
            image = decode_image(data, str(record.image))
        except (DataError, OSError) as error:
            damaged.append(str(error))
            before = None
            continue
        seen = look(Frame(image, index, 0))
        mean[index], contrast[index] = seen.mean, seen.contrast
        small = _thumbnail(image)
        sharpness[index] = cv2.Laplacian(small, cv2.CV_32F).var()
        digest = hashlib.blake2b(data, digest_size=16).digest()
        twin[index] = digest == hash_before
        if before is not None and before.shape == small.shape and not twin[index]:
            (moved, _), response = cv2.phaseCorrelate(before, small, _window(small.shape))
            if response > 0.05 and abs(moved) < small.shape[1] / 4:
                shift[index] = moved
        before, hash_before = small, digest
        progress(index + 1, count)
    return Look(mean, contrast, sharpness, twin, shift, damaged)


def check(session: Session, seen: Look) -> list[Finding]:
    """What there is to say of a recording, worst first."""
    records = session.records
    findings = [
        *_rows(session, seen),
        *_balance(records),
        *_pictures(seen),
        *_twins(records, seen),
        *_timing(records),
        *_delay(records, seen),
    ]
    return sorted(findings, key=lambda finding: (BAD, NOTE, GOOD).index(finding.level))


def _rows(session: Session, seen: Look) -> list[Finding]:
    found = []
    if session.problems:
        found.append(
            Finding(
                BAD if len(session.problems) > 1 else NOTE,
                f"{len(session.problems)} rows cannot be used; first: {session.problems[0]}",
                "a power cut leaves one such row; more than one: copy the recording again",
            )
        )
    if seen.damaged:
        found.append(
            Finding(
                BAD,
                f"{len(seen.damaged)} pictures are damaged; first: {seen.damaged[0]}",
                "copy the recording again, or delete those frames in the cockpit",
            )
        )
    return found


def _balance(records: Sequence[Record]) -> list[Finding]:
    counts = Counter(record.command.nearest_class().label for record in records)
    total = len(records)
    found = []
    mapped = Counter(r.command.label for r in records if not r.command.is_class)
    for label, count in sorted(mapped.items()):
        nearest = next(r.command for r in records if r.command.label == label).nearest_class()
        found.append(
            Finding(
                NOTE,
                f"{count:,} frames of {label}, which is no class",
                f"training takes them as {nearest.label}",
            )
        )
    if total < 500:
        found.append(
            Finding(NOTE, f"only {total:,} frames", "record some minutes more: 5,000 is a start")
        )
    label, most = counts.most_common(1)[0]
    if most > _COMMON * total:
        advice = (
            "pause recording while the car stands"
            if label == "stop"
            else "drive more curves, both ways round; `autcar train` balances what there is"
        )
        found.append(Finding(NOTE, f"{most / total:.0%} of all frames are {label}", advice))
    else:
        found.append(Finding(GOOD, f"the commonest command, {label}, has {most / total:.0%}"))
    unused = [label for label in LABELS if not counts[label]]
    if unused:
        found.append(
            Finding(
                NOTE,
                f"never used: {', '.join(unused)}",
                "a model cannot learn what it never saw; drive them, or leave them out knowingly",
            )
        )
    rare = [name for name in LABELS if 0 < counts[name] < _RARE * total]
    if rare:
        named = ", ".join(f"{name} ({counts[name]})" for name in rare)
        found.append(Finding(NOTE, f"rare: {named}", "drive these some more"))
    return found


def _pictures(seen: Look) -> list[Finding]:
    if np.isnan(seen.mean).all():
        return []  # none could be looked at, as _rows says
    limits = Limits()
    found = []
    total = len(seen.mean)
    for what, flags, advice in (
        ("dark", seen.mean < max(limits.dark_luma, 20.0), "more light, or a clean lens"),
        ("glaring", seen.mean > limits.bright_luma, "turn the lamp or the track"),
        ("flat", seen.contrast < max(limits.flat_contrast, 4.0), "is the lens covered?"),
        ("blurred", _blurred(seen.sharpness), "drive slower, or give more light"),
    ):
        count = int(flags.sum())
        if count:
            level = BAD if count > 0.05 * total else NOTE
            first = int(np.flatnonzero(flags)[0])
            found.append(
                Finding(
                    level,
                    f"{count:,} {what} pictures ({count / total:.1%}), first {first}",
                    advice,
                )
            )
    if not found:
        found.append(Finding(GOOD, "the pictures are bright, sharp and full of contrast"))
    return found


def _blurred(sharpness: Floats) -> npt.NDArray[np.bool_]:
    """Much less sharp than the recording's own middle."""
    return sharpness < 0.2 * np.nanmedian(sharpness)


def _twins(records: Sequence[Record], seen: Look) -> list[Finding]:
    count = int(seen.twin.sum())
    if not count:
        return []
    longest = max(len(list(run)) for same, run in groupby(seen.twin.tolist()) if same)
    level = BAD if longest >= 10 or count > 0.05 * len(records) else NOTE
    return [
        Finding(
            level,
            f"{count:,} pictures are the one before, byte for byte; up to {longest + 1} in a row",
            "the camera hung or was asked too often; lower [camera] fps",
        )
    ]


def _timing(records: Sequence[Record]) -> list[Finding]:
    times = [record.time_ns for record in records if record.time_ns is not None]
    if len(times) < len(records) or len(times) < 3:
        return [Finding(NOTE, "the frames have no times", "record with `autcar record`")]
    steps: Floats = np.diff(np.array(times, np.int64)).astype(np.float64) / 1e9
    found = []
    if (steps < 0).any():
        found.append(
            Finding(NOTE, "times go backwards", "recordings were put together; use `data merge`")
        )
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.05
    rate = 1 / usual
    missing = sum(
        after.sequence - before.sequence - 1
        for before, after in pairwise(records)
        if 0 < (after.time_ns or 0) - (before.time_ns or 0) < _PAUSE_S * 1e9
        and after.sequence > before.sequence
    )
    late = int(((steps > 1.8 * usual) & (steps < _PAUSE_S)).sum())
    pauses = int((steps >= _PAUSE_S).sum())
    lost = max(missing, late)
    share = lost / (len(records) + lost)
    text = f"{rate:.1f} frames a second, {lost:,} dropped ({share:.1%})"
    if pauses:
        text += f", {pauses} pauses over {_PAUSE_S:g} s"
    advice = "" if share < 0.02 else "a faster card, a smaller picture or fewer frames a second"
    found.append(Finding(GOOD if share < 0.02 else BAD if share > 0.1 else NOTE, text, advice))
    return found


def _delay(records: Sequence[Record], seen: Look) -> list[Finding]:
    shift, correlation = answer_after(records, seen)
    if math.isnan(correlation) or correlation < _SURE:
        return [Finding(NOTE, "too few turns to tell whether the labels come in time")]
    times = [record.time_ns for record in records if record.time_ns is not None]
    step_s = float(np.median(np.diff(times))) / 1e9 if len(times) > 2 else 0.0
    after = f"{shift:+d} frames ({shift * step_s:+.2f} s)" if step_s else f"{shift:+d} frames"
    if shift < 0:
        return [
            Finding(
                BAD,
                f"the picture turns {after} from the command: labels come late",
                f"shift the labels by {-shift} frames, or record with `autcar record`, which "
                f"labels frames with the command at their exposure",
            )
        ]
    if step_s and shift * step_s > 0.4:
        return [
            Finding(
                NOTE,
                f"the picture answers a command only after {after}",
                "a slow car, or labels that come early; look at both in the cockpit",
            )
        ]
    return [Finding(GOOD, f"the picture answers a command after {after}, as it should")]


def answer_after(records: Sequence[Record], seen: Look) -> tuple[int, float]:
    """By how many frames the scene's turning follows the commands, and how surely (0…1).

    Found by shifting the commands to and fro against how the scene moves sideways.
    (0, NaN) where there are too few turns. Negative means that labels come late.
    """
    wheels = np.array([CLASSES[r.command.nearest_class().index].wheels for r in records])
    # A car that turns left (right wheel faster) sees the scene move to the right.
    turning = wheels[:, 1] - wheels[:, 0]
    moved = np.where(np.isfinite(seen.shift), seen.shift, 0.0)
    known = np.isfinite(seen.shift)
    if known.sum() < _FEWEST or turning.std() == 0 or moved.std() == 0:
        return 0, math.nan
    scores = {}
    for shift in SHIFTS:
        lo, hi = max(0, shift), len(moved) + min(0, shift)
        command, scene, use = turning[lo - shift : hi - shift], moved[lo:hi], known[lo:hi]
        if use.sum() > 20 and command[use].std() and scene[use].std():
            scores[shift] = float(np.corrcoef(command[use], scene[use])[0, 1])
    if not scores:
        return 0, math.nan
    best = max(scores, key=lambda shift: scores[shift])
    return best, scores[best]


def _thumbnail(image: Image) -> npt.NDArray[np.float32]:
    """Grey ``float32``, 96 pixels wide at most."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    width = min(96, grey.shape[1])
    height = max(1, round(grey.shape[0] * width / grey.shape[1]))
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)


_windows: dict[tuple[int, ...], npt.NDArray[np.float32]] = {}


def _window(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    if shape not in _windows:
        _windows[shape] = cv2.createHanningWindow(shape[::-1], cv2.CV_32F)  # type: ignore[assignment]
    return _windows[shape]
