"""``autcar demo``: a simulated car learns to drive, from nothing to a report page.

Records several tracks, trains and quantizes the default network, drives tracks
that it never saw beside a car that always goes straight, and shows all of it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autcar.arguments import natural
from autcar.commands import Command
from autcar.config import Config

if TYPE_CHECKING:
    from autcar.progress import Progress
    from autcar.safety import Gate
    from edge.drive import Run
    from edge.pilots import Pilot
    from trainer.pipeline import Result
    from trainer.report.demo_report import Drive, Thought

THOUGHTS_EACH = 3
WELL = 4
"""How many of the unseen tracks must be driven with no wheel off, for the demo to succeed."""


@dataclass(frozen=True)
class _Size:
    """How much of everything. Tracks are seeds; from first to last they get harder."""

    recorded: tuple[int, ...] = tuple(range(1, 37))
    frames_each: int = 300
    unseen: tuple[int, ...] = tuple(range(101, 106))
    seconds_each: float = 60.0
    epochs: int = 5
    proof_tracks: int = 16


_QUICK = _Size((1, 2, 3), 400, (101, 102), 15.0, 6, 2)

_EXAMPLES = """\
examples:
  autcar demo                          about 5 minutes on 2 cores; ends with a report page
  autcar demo --quick                  a taste in 1 minute; it will drive badly
  autcar demo --bundle models/default  the recipe of the shipped bundle
"""


def add_verbs(verbs: Any) -> None:
    """Add ``demo``."""
    parser = verbs.add_parser(
        "demo",
        help="watch a simulated car learn to drive",
        description="A simulated car learns to drive: record, train, quantize, drive, report.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", metavar="FOLDER", default="demo", help="made anew (demo)")
    parser.add_argument(
        "--bundle", metavar="FOLDER", help="write the bundle there (default: in the output folder)"
    )
    parser.add_argument("--seed", type=natural, default=0, help="of the training (0)")
    parser.add_argument("--quick", action="store_true", help="fewer frames, epochs and seconds")
    parser.set_defaults(run=_demo)


def _on_track(config: Config, seed: int, tracks: tuple[int, ...]) -> Config:
    """``config`` for one of ``tracks``: the first is easy, the last varied and hard."""
    difficulty = round(tracks.index(seed) / max(1, len(tracks) - 1), 2)
    return replace(config, simulator=replace(config.simulator, seed=seed, difficulty=difficulty))


def _demo(arguments: argparse.Namespace) -> int:
    from autcar.progress import terminal_progress
    from trainer.quiet import import_tensorflow

    import_tensorflow()
    from trainer.proof.closed_loop import prove_driving
    from trainer.report.demo_report import write_report

    began = time.monotonic()
    size = _QUICK if arguments.quick else _Size()
    folder = _fresh_folder(Path(arguments.output))
    bundle_folder = Path(arguments.bundle) if arguments.bundle else folder / "bundle"
    progress = terminal_progress()
    config = Config()

    progress.say(f"1 of 4  recording {len(size.recorded)} simulated tracks, driven by the expert")
    _record(config, size, folder / "recordings", progress)
    progress.say("2 of 4  training, quantizing, proving")
    result = _train(folder, bundle_folder, size, arguments.seed, progress)
    progress.say(f"3 of 4  driving {len(size.unseen)} tracks that were never recorded")
    drives = [_drive_unseen(config, seed, size, result, progress) for seed in size.unseen]
    bundle = prove_driving(result.bundle, size.proof_tracks, progress=progress)
    result = replace(result, bundle=bundle)
    progress.say("4 of 4  writing the report")
    seconds = time.monotonic() - began
    page = write_report(folder, result, drives, seconds)

    on_track = sum(drive.well for drive in drives)
    facts = _facts(result, drives, on_track, seconds)
    (folder / "demo.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    print(_table(drives))
    print(f"\n{on_track} of {len(drives)} unseen tracks driven with no wheel off, {seconds:.0f} s")
    proof = result.bundle.manifest.metrics["closed_loop"]
    print(
        f"{proof['failures']} failures in {proof['metres']:.0f} m on {proof['tracks']} hard ones"
    )
    print(f"report: {page.resolve().as_uri()}")
    print(f"bundle: {result.bundle.folder}   next: autcar drive --bundle {result.bundle.folder}")
    print(json.dumps(facts))
    return 0 if arguments.quick or on_track >= WELL else 1


def _fresh_folder(folder: Path) -> Path:
    """Remove what an earlier demo left; anything else there is kept and refused."""
    from autcar.errors import DataError

    mark = folder / ".autcar-demo"
    if folder.exists() and any(folder.iterdir()):
        if not mark.is_file():
            raise DataError(f"{folder} is there and was not made by a demo; give another --output")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mark.touch()
    return folder


def _record(config: Config, size: _Size, folder: Path, progress: Progress) -> None:
    from capture.simulated import record_expert

    for seed in size.recorded:
        on_track = _on_track(config, seed, size.recorded)
        record_expert(on_track, folder, seed, size.frames_each, progress)


def _train(folder: Path, bundle: Path, size: _Size, seed: int, progress: Progress) -> Result:
    from trainer.pipeline import train_bundle
    from trainer.settings import Settings

    recordings = (folder / "recordings",)
    # What was trained for a minute may be unsure enough for int8 to turn its answers.
    force = size is _QUICK
    settings = Settings(recordings, bundle, runs=folder / "run", seed=seed, force=force)
    schedule = replace(settings.schedule, epochs=size.epochs)
    return train_bundle(replace(settings, schedule=schedule), progress)


def _drive_unseen(
    config: Config, seed: int, size: _Size, result: Result, progress: Progress
) -> Drive:
    from autcar.simulator.score import Score
    from autcar.simulator.track import Track
    from edge.pilots import BundlePilot, ConstantDecider, DecidingPilot
    from trainer.report.demo_report import Drive

    config = _on_track(config, seed, size.unseen)
    straight = DecidingPilot(ConstantDecider(Command("move", "medium", "forward")))
    pilot = BundlePilot(result.bundle, "int8")
    run, thoughts = _drive_track(config, pilot, size.seconds_each)
    baseline, _ = _drive_track(config, straight, size.seconds_each)
    assert isinstance(run.score, Score)
    assert isinstance(baseline.score, Score)
    drive = Drive(
        seed=seed,
        difficulty=config.simulator.difficulty,
        track=Track.generate(seed, config.simulator.difficulty),
        pilot=run.score,
        straight=baseline.score,
        thoughts=thoughts,
        stopped=run.reason.value if run.reason else None,
    )
    stopped = f"; stopped: {drive.stopped}" if drive.stopped else ""
    where = f"track {seed}, difficulty {drive.difficulty:g}"
    progress.say(f"  {where}: {drive.pilot.summary()}{stopped}")
    return drive


def _drive_track(config: Config, pilot: Pilot, seconds: float) -> tuple[Run, list[Thought]]:
    from autcar.safety import Gate
    from autcar.vehicle import open_vehicle
    from edge.drive import drive_vehicle
    from trainer.report.demo_report import Thought

    thoughts: list[Thought] = []
    every = int(seconds * config.camera.fps / THOUGHTS_EACH)

    class Listener:
        """Keeps a few frames with what the pilot made of them."""

        def __init__(self) -> None:
            self._frames = 0

        def scores(self, frame: Any) -> Any:
            scores = pilot.scores(frame)
            self._frames += 1
            if self._frames % every == every // 2:
                thoughts.append(Thought(frame.image, list(scores)))
            return scores

    gate: Gate = Gate(config.safety)
    with open_vehicle(config, realtime=False) as vehicle:
        run = drive_vehicle(vehicle, Listener(), gate, seconds)
    return run, thoughts


def _table(drives: list[Drive]) -> str:
    lines = [
        "",
        f"{'track':<8}{'difficulty':<12}{'driver':<16}{'seconds':>9}{'metres':>9}{'laps':>7}"
        f"{'off track':>11}{'worst cm':>10}",
    ]
    for drive in drives:
        for name, score in (("the bundle", drive.pilot), ("always straight", drive.straight)):
            # How far a car went after it left the track says nothing.
            worst = "–" if score.failures else f"{score.max_lateral * 100:.1f}"
            lines.append(
                f"{drive.seed:<8}{drive.difficulty:<12g}{name:<16}{score.seconds:>9.1f}"
                f"{score.distance:>9.1f}{score.laps:>7.1f}{score.failures:>11}{worst:>10}"
            )
    return "\n".join(lines)


def _facts(result: Result, drives: list[Drive], on_track: int, seconds: float) -> dict[str, Any]:
    int8 = result.parity["int8"]
    proof = result.bundle.manifest.metrics["closed_loop"]
    return {
        "tracks_on_track": on_track,
        "tracks": len(drives),
        "straight_on_track": sum(drive.straight.failures == 0 for drive in drives),
        "metres": [round(drive.pilot.distance, 2) for drive in drives],
        "metres_between_failures": proof["metres_between"],
        "failures": proof["failures"],
        "test_accuracy": round(result.evaluation.accuracy, 4),
        "test_balanced_accuracy": round(result.evaluation.balanced_accuracy, 4),
        "int8_agreement": round(int8.agreement, 4),
        "int8_accuracy_loss": round(int8.keras_accuracy - int8.accuracy, 4),
        "latency_ms": {name: round(value, 3) for name, value in result.latency_ms.items()},
        "seconds": round(seconds, 1),
        "stages_s": {name: round(value, 1) for name, value in result.seconds.items()},
    }
