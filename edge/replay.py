"""What ``autcar replay`` does: show a logged run, and ask another bundle about its frames."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from autcar.bundle import Bundle, load_bundle
from autcar.cameras.base import Frame
from autcar.commands import LABELS
from autcar.errors import DataError
from autcar.images import read_image, write_png
from autcar.progress import Progress, terminal_progress
from edge.comparison import Comparison
from edge.drive_log import LoggedDrive, read_drive
from edge.histogram import Histogram
from edge.pilots import BundlePilot, Pilot

_BARS = "▁▂▃▄▅▆▇█"
_TIMES = (
    ("pilot", "pilot_ns"),
    ("everything else", "overhead_ns"),
    ("age at the wheel", "age_ns"),
)


def replay(arguments: argparse.Namespace) -> int:
    """Run the verb; returns the exit code."""
    from edge.timeline import draw_timeline

    drive = read_drive(arguments.drive)
    print(summary(drive))
    facts = drive_facts(drive)
    shadow = shadow_comparison(drive)
    if shadow.frames:
        print(f"\nshadow: {shadow.report()}")
        facts["shadow"] = shadow.facts()
    if arguments.bundle:
        bundle = load_bundle(arguments.bundle)
        if record := next(iter(drive.frames.values()), None):
            height, width = read_image(record.image).shape[:2]
            bundle.check_fits(width, height)
        follow = drive.info.get("config", {}).get("follow", {})
        pilot, name = _pilot_of(bundle, arguments.variant, follow)
        comparison = compare(drive, pilot, name, terminal_progress())
        print(f"\noffline: {comparison.report()}")
        facts["offline"] = comparison.facts()
    picture = Path(arguments.picture or drive.folder / "timeline.png")
    write_png(picture, draw_timeline(drive))
    print(f"\ntimeline: {picture}")
    if arguments.json:
        print(json.dumps(facts))
    return 0


def _pilot_of(bundle: Bundle, variant: str | None, follow: Mapping[str, Any]) -> tuple[Pilot, str]:
    """A bundle's pilot and its name for people.

    One that follows does so by ``follow``, the car's settings; a log of another version may
    have others, too.
    """
    manifest = bundle.manifest
    if manifest.task == "follow":
        from autcar.config import FollowSection
        from edge.follow_pilot import BundleEyes, FollowPilot

        eyes = BundleEyes(bundle, variant)
        known = {field.name for field in fields(FollowSection)} & follow.keys()
        settings = FollowSection(**{name: follow[name] for name in known})
        pilot = FollowPilot(eyes, eyes.labels, settings)
        return pilot, f"{manifest.name} ({eyes.variant.name})"
    driving = BundlePilot(bundle, variant)
    return driving, f"{manifest.name} ({driving.variant.name})"


def summary(drive: LoggedDrive) -> str:
    """Who drove what, how it ended, what was decided, and how long it took."""
    info, seconds, decisions = drive.info, drive.seconds, drive.decisions
    started = info.get("started")
    when = f"{started[:16].replace('T', ' ')} UTC" if started else "at an unknown time"
    frames = int(np.count_nonzero(decisions["sequence"] >= 0))
    lines = [
        f"{info.get('pilot', 'a pilot')} drove {info.get('where', 'a car')}, {when}",
        f"{len(decisions):,} decisions on {frames:,} frames in {seconds[-1]:.1f} s, "
        f"{missed_frames(drive):,} frames unused, {len(drive.frames):,} frames kept",
    ]
    if info.get("ended") is None:
        lines.append("the run did not end properly: what was written until then is shown")
    if info.get("lost"):
        lines.append(f"{info['lost']:,} decisions were not written: the card was too slow")
    if info.get("problem"):
        lines.append(info["problem"])
    lines += drive.problems
    lines.append(f"stopped: {drive.reason}" if drive.reason else "driving until the end")
    person = int(np.count_nonzero(decisions["takeover"]))
    if person:
        lines.append(f"a person drove for {person:,} decisions")
    lines.append("")
    driven = Counter(decisions["command"].tolist())
    for index, count in sorted(driven.items()):
        name = LABELS[index] if index >= 0 else "at rest"
        lines.append(f"{name:<24}{count:>8,}")
    lines.append("")
    lines.append(f"{'ms':<18}{'median':>9}{'p95':>9}{'p99.9':>9}{'max':>9}  from 0.01 to 1000")
    for name, column in _TIMES:
        histogram = _histogram(drive, column)
        found = histogram.facts()
        if histogram.count:
            lines.append(
                f"{name:<18}{found['median']:>9.3f}{found['p95']:>9.3f}{found['p999']:>9.3f}"
                f"{found['max']:>9.3f}  {_bars(drive, column)}"
            )
    return "\n".join(lines)


def drive_facts(drive: LoggedDrive) -> dict[str, Any]:
    """The same, JSON-able."""
    return {
        "decisions": len(drive.decisions),
        "seconds": round(float(drive.seconds[-1]), 3),
        "missed": missed_frames(drive),
        "frames_kept": len(drive.frames),
        "reason": drive.reason,
        "ended": drive.info.get("ended") is not None,
        "problems": drive.problems,
        **{column: _histogram(drive, column).facts() for _, column in _TIMES},
    }


def missed_frames(drive: LoggedDrive) -> int:
    """Frames that the camera took and the loop never saw, by gaps in their numbers."""
    numbers = drive.decisions["sequence"]
    steps = np.diff(numbers[numbers >= 0])
    return int((steps[steps > 1] - 1).sum())


def shadow_comparison(drive: LoggedDrive) -> Comparison:
    """Where the shadow of the run, if it had one, disagreed."""
    comparison = Comparison("the driving pilot", str(drive.info.get("shadow")))
    for seconds, row in zip(drive.seconds, drive.decisions, strict=True):
        if np.isfinite(row["shadow"]).all() and np.isfinite(row["scores"]).all():
            comparison.add(float(seconds), row["scores"].tolist(), row["shadow"].tolist())
    return comparison


def compare(
    drive: LoggedDrive, pilot: Pilot, name: str, progress: Progress | None = None
) -> Comparison:
    """Run ``pilot`` over the kept frames, and compare with what was decided then.

    The frames were kept as JPEG, so even the bundle that drove may differ on a few.
    Raises :class:`DataError` for a run without frames, ``ValueError`` for a bundle
    that takes frames of another size.
    """
    if not drive.frames:
        raise DataError(
            f"{drive.folder} has no frames; drive with `autcar drive --log drives --log-frames`"
        )
    comparison = Comparison(str(drive.info.get("pilot", "the pilot of then")), name)
    for done, (seconds, row) in enumerate(zip(drive.seconds, drive.decisions, strict=True), 1):
        record = drive.frames.get(int(row["sequence"]))
        if record is None or not np.isfinite(row["scores"]).all():
            continue
        frame = Frame(read_image(record.image), record.sequence, int(row["frame_ns"]))
        comparison.add(float(seconds), row["scores"].tolist(), pilot.scores(frame))
        if progress:
            progress.step("replaying", done, len(drive.decisions))
    return comparison


def _milliseconds(drive: LoggedDrive, column: str) -> list[float]:
    seen = drive.decisions[drive.decisions["sequence"] >= 0]
    times: list[float] = (seen[column] / 1e6).tolist()
    return times


def _histogram(drive: LoggedDrive, column: str) -> Histogram:
    histogram = Histogram()
    for value in _milliseconds(drive, column):
        histogram.add(value)
    return histogram


def _bars(drive: LoggedDrive, column: str) -> str:
    """Five decades of ms, four bars each, on a logarithmic scale both ways."""
    edges = np.logspace(-2, 3, 21)
    values = np.clip(_milliseconds(drive, column), edges[0], edges[-1] * 0.999)
    counts, _ = np.histogram(values, edges)
    heights = np.ceil(np.log1p(counts) / np.log1p(counts.max()) * len(_BARS)).astype(int)
    return "".join(" " if height == 0 else _BARS[height - 1] for height in heights)
