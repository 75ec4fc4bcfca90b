"""The verb ``autcar data``: look at recordings, mend them, and bring them in and out."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autcar.arguments import natural, positive, seconds, share

_EXAMPLES = """\
examples:
  autcar data list                                   what is there
  autcar data show recordings/lap1                   a sheet of frames, bars and a timeline as PNG
  autcar data check recordings                       what is wrong, and what to do
  autcar data import ~/donkey/tub --to recordings    a Donkeycar tub, an AutCar or labelled folder
  autcar data export recordings/lap1 --as tub --to tub
  autcar data trim recordings/lap1 --last 5          softly delete the last 5 seconds
  autcar data trim recordings/lap1 --undo            and take it back
  autcar data merge recordings/lap1 recordings/lap2 --to merged/both
  autcar data make-follow people                     simulated people and masks, to train on
  autcar data pull pi@car.local                      bring what the car recorded; it resumes
  autcar data augment-preview recordings             what training does to the frames, as PNG
"""


def add_verbs(verbs: Any) -> None:
    """Add ``data``."""
    parser = verbs.add_parser(
        "data",
        help="look at recordings, check, convert, trim and merge them",
        description="Look at recordings, mend them, and bring them in and out.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    found = _action(actions, "list", "list recordings", _list)
    found.add_argument(
        "folder", metavar="FOLDER", nargs="?", help="default: [record] folder of car.toml"
    )
    found.add_argument("--config", metavar="FILE", help="car.toml (default: ./car.toml if there)")
    found.add_argument("--json", action="store_true", help="one line of JSON a recording")
    _deleted(found)

    show = _action(actions, "show", "draw a recording as one picture", _show)
    show.add_argument("folder", metavar="FOLDER", help="a recording")
    _deleted(show)
    show.add_argument("--output", metavar="PNG", help="default: the recording's name + .png")

    check = _action(actions, "check", "find what is wrong with recordings", _check)
    check.add_argument("folder", metavar="FOLDER", help="a recording, or a folder of them")
    check.add_argument("--json", action="store_true", help="one line of JSON a recording")
    _deleted(check)

    bring = _action(
        actions, "import", "copy a tub, AutCar or labelled folder into sessions", _import
    )
    bring.add_argument(
        "source", metavar="SOURCE", help="a tub, or a folder of AutCar's or of images by label"
    )
    bring.add_argument(
        "--to", metavar="FOLDER", default="recordings", help="make them in here (recordings)"
    )
    _deleted(bring)

    export = _action(actions, "export", "write recordings as another kind", _export)
    export.add_argument("folders", metavar="FOLDER", nargs="+", help="recordings")
    export.add_argument(
        "--as",
        dest="kind",
        choices=["autcar", "tub", "labelled"],
        required=True,
        help="a folder as AutCar's, a Donkeycar tub, or images in a folder for each label",
    )
    export.add_argument("--to", metavar="FOLDER", required=True, help="a new folder")
    _deleted(export)

    trim = _action(actions, "trim", "softly delete a part of a session", _trim)
    trim.add_argument("folder", metavar="FOLDER", help="a recording")
    what = trim.add_mutually_exclusive_group(required=True)
    what.add_argument("--last", type=seconds, metavar="S", help="the last seconds")
    what.add_argument("--first", type=seconds, metavar="S", help="the first seconds")
    what.add_argument("--seconds", metavar="A:B", help="from A to B seconds")
    what.add_argument("--rows", metavar="A:B", help="the rows A to B, counted from 0")
    what.add_argument("--undo", action="store_true", help="take the last deletion back")
    what.add_argument("--empty", action="store_true", help="delete for good what is deleted")

    pull = _action(actions, "pull", "bring recordings from cars by ssh, only what is new", _pull)
    pull.add_argument("cars", nargs="*", metavar="CAR", help="default: all of cars.toml")
    pull.add_argument(
        "--to", metavar="FOLDER", default="recordings", help="below this folder (recordings)"
    )
    pull.add_argument("--ssh-config", metavar="FILE", default="", help="ssh's settings, as -F")

    make = _action(actions, "make-follow", "make pictures of simulated people and masks", _make)
    make.add_argument("folder", metavar="FOLDER", help="a new folder")
    make.add_argument("--pairs", type=positive, default=3000, help="how many (3000)")
    make.add_argument("--seed", type=natural, default=0, help="other people, other rooms (0)")
    make.add_argument("--size", metavar="WxH", default="128x96", help="of the pictures (128x96)")
    make.add_argument("--difficulty", type=share, default=0.5, help="0 easy … 1 hard (0.5)")

    preview = _action(
        actions, "augment-preview", "draw what each kind of augmentation does", _preview
    )
    preview.add_argument(
        "data", metavar="DATA", help="a recording, or anything that can be trained on"
    )
    preview.add_argument(
        "--output",
        default="augmentation.png",
        metavar="PNG",
        help="the picture (augmentation.png)",
    )
    preview.add_argument("--augment", default="default", help="as in `autcar train` (default)")
    preview.add_argument("--columns", type=positive, default=6, help="frames (6)")
    preview.add_argument("--seed", type=natural, default=0, help="another draw (0)")
    _deleted(preview)

    merge = _action(actions, "merge", "copy recordings into one new session", _merge)
    merge.add_argument("folders", metavar="FOLDER", nargs="+", help="recordings")
    merge.add_argument("--to", metavar="FOLDER", required=True, help="the new session")


def _action(actions: Any, name: str, text: str, run: Any) -> Any:
    parser = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=run)
    return parser


def _deleted(parser: Any) -> None:
    parser.add_argument("--include-deleted", action="store_true", help="also deleted frames")


def _list(arguments: argparse.Namespace) -> int:
    from autcar.config import load_config
    from autcar.errors import AutcarError
    from autcar.recording.reading import (
        find_recordings,
        kind_of,
        read_recording,
        seconds_driven,
    )

    folder = arguments.folder or load_config(arguments.config).record.folder
    total = 0
    for path in find_recordings(folder):
        try:
            session = read_recording(path, include_deleted=arguments.include_deleted)
        except AutcarError as error:
            print(f"{path.name}: {error}")
            continue
        records = session.records
        total += len(records)
        seconds = seconds_driven(records)
        commonest = Counter(record.command.label for record in records).most_common(2)
        if arguments.json:
            row = {
                "name": path.name,
                "kind": kind_of(path),
                "frames": len(records),
                "deleted": session.deleted,
                "seconds": seconds,
                "problems": len(session.problems),
                "counts": Counter(record.command.label for record in records),
            }
            print(json.dumps(row))
            continue
        length = "" if seconds is None else f"{seconds // 60:.0f}:{seconds % 60:02.0f}"
        shares = ", ".join(f"{label} {count / len(records):.0%}" for label, count in commonest)
        extra = f", {session.deleted} deleted" if session.deleted else ""
        extra += f", {len(session.problems)} unusable" if session.problems else ""
        print(f"{path.name:<28}{len(records):>8,} frames{length:>8}  {shares}{extra}")
    if not arguments.json:
        print(f"{total:,} frames in all; look at one with `autcar data show FOLDER`")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from autcar.images import write_png
    from autcar.recording.picture import session_picture
    from autcar.recording.reading import read_recording

    session = read_recording(arguments.folder, include_deleted=arguments.include_deleted)
    name = session.folder.resolve().name
    output = Path(arguments.output or f"{name}.png")
    write_png(output, session_picture(name, session.records))
    print(f"{len(session.records):,} frames drawn in {output}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from autcar.errors import AutcarError
    from autcar.recording.check import BAD, GOOD, check, examine
    from autcar.recording.reading import find_recordings, read_recording

    worst = 0
    for path in find_recordings(arguments.folder):
        try:
            session = read_recording(path, include_deleted=arguments.include_deleted)
        except AutcarError as error:
            print(f"{path.name}: {error}")
            worst = 1
            continue
        findings = check(session, examine(session.records))
        worst |= any(finding.level == BAD for finding in findings)
        if arguments.json:
            found = [asdict(finding) for finding in findings]
            print(json.dumps({"name": path.name, "findings": found}))
            continue
        print(f"{path.name}: {len(session.records):,} frames")
        for finding in findings:
            mark = {BAD: "✗", GOOD: "✓"}.get(finding.level, "·")
            print(f"  {mark} {finding.what}")
            if finding.advice:
                print(f"      → {finding.advice}")
    return worst


def _import(arguments: argparse.Namespace) -> int:
    from autcar.progress import terminal_progress
    from autcar.recording.conversion import import_recording

    progress = terminal_progress()
    folders = import_recording(
        arguments.source,
        arguments.to,
        include_deleted=arguments.include_deleted,
        progress=lambda done, total: progress.step("importing", done, total),
    )
    print(f"{len(folders)} sessions in {arguments.to}")
    print(f"next: autcar data check {arguments.to}")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from autcar.progress import terminal_progress
    from autcar.recording.conversion import export_recordings

    progress = terminal_progress()
    frames = export_recordings(
        [Path(folder) for folder in arguments.folders],
        arguments.to,
        arguments.kind,
        include_deleted=arguments.include_deleted,
        progress=lambda done, total: progress.step("exporting", done, total),
    )
    print(f"{frames:,} frames in {arguments.to}")
    return 0


def _preview(arguments: argparse.Namespace) -> int:
    from trainer.report.preview import augment_preview

    path = augment_preview(
        arguments.data,
        arguments.output,
        augment=arguments.augment,
        columns=arguments.columns,
        include_deleted=arguments.include_deleted,
        seed=arguments.seed,
    )
    print(f"{path}: what --augment {arguments.augment} does; change it as in default,rotation=0.7")
    return 0


def _trim(arguments: argparse.Namespace) -> int:
    from autcar.recording.deletion import delete_rows, undo_delete
    from autcar.recording.session import read_session
    from autcar.recording.trim import empty, rows_between

    folder = Path(arguments.folder)
    if arguments.undo:
        rows = undo_delete(folder)
        print("nothing to take back" if rows is None else f"rows {rows[0]} to {rows[1]} are back")
        return 0
    if arguments.empty:
        print(f"{empty(folder)} frames deleted for good")
        return 0
    records = read_session(folder).records
    if arguments.rows is not None:
        first, last = _pair(arguments.rows, int)
    elif arguments.last is not None:
        length_s = ((records[-1].time_ns or 0) - (records[0].time_ns or 0)) / 1e9
        begin_s = length_s - arguments.last + 1e-6  # the frame on the edge stays
        first, last = rows_between(records, begin_s, length_s)
    elif arguments.first is not None:
        first, last = rows_between(records, 0, arguments.first)
    else:
        # As the cockpit shows them: counted from the first frame, deleted or not.
        whole = read_session(folder, include_deleted=True).records
        first, last = rows_between(whole, *_pair(arguments.seconds, float))
    last = min(last, records[-1].row)
    delete_rows(folder, first, last)
    print(f"rows {first} to {last} are deleted; take it back with --undo, for good with --empty")
    return 0


def _pair(text: str, kind: Any) -> tuple[Any, Any]:
    from autcar.errors import DataError

    try:
        first, last = (kind(part) for part in text.split(":"))
    except ValueError:
        raise DataError(f"{text!r} is no range; write such as 10:20") from None
    return first, last


def _merge(arguments: argparse.Namespace) -> int:
    from autcar.progress import terminal_progress
    from autcar.recording.conversion import merge

    progress = terminal_progress()
    folder = merge(
        [Path(folder) for folder in arguments.folders],
        arguments.to,
        progress=lambda done, total: progress.step("merging", done, total),
    )
    print(f"merged into {folder}")
    if any(Path(part).resolve().parent == folder.resolve().parent for part in arguments.folders):
        print(
            f"note: its parts lie beside it, so `autcar train {folder.parent}` would learn from "
            f"each frame twice and test on what it learned; move one of them away"
        )
    return 0


def _make(arguments: argparse.Namespace) -> int:
    from autcar.errors import DataError
    from autcar.progress import terminal_progress
    from autcar.simulator.follow_pictures import make_follow_pictures

    width, _, height = arguments.size.partition("x")
    if not (width.isdigit() and height.isdigit() and min(int(width), int(height)) >= 16):
        raise DataError(f"--size {arguments.size}: expected such as 128x96, each side 16 or more")
    progress = terminal_progress()
    pairs = make_follow_pictures(
        arguments.folder,
        arguments.pairs,
        seed=arguments.seed,
        size=(int(width), int(height)),
        difficulty=arguments.difficulty,
        progress=lambda done, total: progress.step("drawing people", done, total),
    )
    print(f"{pairs:,} images with masks in {arguments.folder}")
    print(f"next: autcar train {arguments.folder}")
    return 0


def _pull(arguments: argparse.Namespace) -> int:
    from autcar.appliance.pull import pull_all

    return pull_all(arguments)
