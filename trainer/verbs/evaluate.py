"""The verb ``eval``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from autcar.arguments import natural, seconds, share
from trainer.verbs.arguments import SPLITS, add_parser
from trainer.verbs.follow import eval_masks

_EVAL_EXAMPLES = """\
examples:
  autcar eval models/mine recordings
  autcar eval models/mine recordings --report report       a page with pictures and a film
  autcar eval models/mine recordings --against models/old  which of two is better, really?
  autcar eval models/mine --tracks 16                      drive unseen simulated tracks
  autcar eval models/mine recordings --split all --variant float32
  autcar eval models/hero people --report report        images with masks: IoU and the score

By default only the test part is used: on the recordings that the bundle was trained with, the one
that training left; --split all uses every frame, for data that training never saw. Of images
with masks all that training held out is the test part.
"""


def add_verb(verbs: Any) -> None:
    """Add ``eval`` to the sub-parsers of the ``autcar`` command."""
    parser = add_parser(verbs, "eval", "see how good a bundle is on recordings", _EVAL_EXAMPLES)
    add = parser.add_argument
    add("bundle", metavar="BUNDLE", help="the bundle's folder")
    add("data", nargs="*", metavar="DATA", help="recordings, tubs, or folders of them")
    add("--variant", help="which file of the bundle (the first, int8)")
    add("--split", choices=(*SPLITS, "all"), help="which frames (as in training)")
    add("--test", type=share, help="share of the frames (as in training, else 0.15)")
    add("--validation", type=share, help="share of the frames (as in training, else 0.15)")
    add("--include-deleted", action="store_true", help="also frames that a tub flags as deleted")
    add("--seed", type=natural, help="of the split (as in training), and of --tracks (0)")
    add("--against", metavar="BUNDLE", help="a second bundle on the same frames")
    add("--report", type=Path, metavar="FOLDER", help="write a page, pictures and a film here")
    add("--tracks", type=natural, default=0, help="drive so many unseen simulated tracks, too (0)")
    add("--seconds", type=seconds, default=30.0, help="simulated, at most, on each of them (30)")
    add("--difficulty", type=share, default=0.5, help="of the tracks, 0 easy … 1 hard (0.5)")
    add("--json", action="store_true", help="print one JSON object instead")
    parser.set_defaults(run=lambda arguments: _eval(parser, arguments))


def _eval(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    from autcar.bundle import load_bundle
    from autcar.errors import DataError
    from autcar.progress import Progress, terminal_progress
    from trainer.proof.closed_loop import drive_bundle
    from trainer.proof.comparison import compare
    from trainer.proof.evaluate_bundle import answer_frames, select_frames

    if load_bundle(arguments.bundle).manifest.task == "follow":
        return eval_masks(parser, arguments)
    if not arguments.data and arguments.tracks < 1:
        raise DataError("nothing to try it on; give recordings, or --tracks 8 to drive simulated")
    progress = Progress() if arguments.json else terminal_progress()
    names = [arguments.bundle, *([arguments.against] if arguments.against else [])]
    bundles = [load_bundle(name) for name in names]
    variant = arguments.variant
    answers = []
    if arguments.data:
        frames = select_frames(
            bundles[0],
            arguments.data,
            split=arguments.split,
            validation=arguments.validation,
            test=arguments.test,
            include_deleted=arguments.include_deleted,
            seed=arguments.seed,
            against=bundles[1] if arguments.against else None,
            progress=progress,
        )
        answers = [
            answer_frames(bundle, frames, variant=variant, progress=progress) for bundle in bundles
        ]
    drives = [
        (
            name,
            drive_bundle(
                bundle,
                variant,
                tracks=arguments.tracks,
                seconds=arguments.seconds,
                difficulty=arguments.difficulty,
                seed=arguments.seed or 0,
                progress=progress,
            ),
        )
        for name, bundle in zip(names, bundles, strict=True)
        if arguments.tracks > 0
    ]
    parts: dict[str, Any] = {"drives": drives}
    if len(answers) == 2:
        a, b = (one.named(bundles[0].manifest.labels) for one in answers)
        found = compare(
            answers[0].truth, a, b, frames.blocks[answers[0].rows], arguments.seed or 0
        )
        parts |= {"against": answers[1], "comparison": found}
    first = answers[0] if answers else None
    if arguments.json:
        from trainer.report.evaluation_report import as_dict

        print(json.dumps(as_dict(first, **parts)))
    else:
        _tell(first, **parts)
    if arguments.report:
        from trainer.report.evaluation_report import write_evaluation

        path = write_evaluation(arguments.report, first, **parts, progress=progress)
        if not arguments.json:
            print(f"report: {path.resolve().as_uri()}")
    return 0


def _tell(answers: Any, drives: Any, against: Any = None, comparison: Any = None) -> None:
    from autcar.simulator.unseen import Measure
    from trainer.proof.evaluation import table

    for letter, one in (("A", answers), ("B", against)):
        if one is None:
            continue
        if against is not None:
            print(f"{letter}: {one.bundle.folder} ({one.variant})")
        print(table(one.evaluation))
        if one.bundle.manifest.task == "drive":
            print(one.steering or "no frame was driven forward: no steering to score")
        if len(one.sessions) > 1:
            print("\n".join(map(str, one.sessions)))
        print()
    if comparison is not None:
        print(comparison)
    for name, rows in drives:
        print(f"{name}: {Measure.of(rows)}")
