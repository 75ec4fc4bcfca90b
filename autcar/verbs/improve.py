"""``autcar improve``: drive, see where the pilot errs, learn from the expert, drive again.

Each round drives the newest bundle on tracks it never saw, in the simulator. The
expert looks on and says what it would have done there (DAgger); where the pilot
leaves the track the expert takes over and brings the car back. All of that joins
the recordings, the network is trained on, and the distance between failures is
measured on the same unseen tracks, round after round.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autcar.arguments import natural, positive, seconds, share
from autcar.config import Config, load_config
from autcar.errors import ConfigError, DataError

if TYPE_CHECKING:
    from autcar.progress import Progress
    from autcar.simulator.world import World
    from edge.pilots import Pilot

PLAN, RESULTS = "plan.json", "improve.json"

_TRAINING_SEEDS = 20_000
_KEEP_AGREED = 8
_BACK_M, _BACK_RAD, _BACK_S = 0.05, 0.2, 6.0
_HELPED_STANDING_S, _HELPED_S = 1.0, 1.0
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

_EXAMPLES = """\
examples:
  autcar improve                                  4 rounds on varied, hard tracks
  autcar improve --difficulty 0.5 --frames 4000   easier tracks, a better start
  autcar improve --rounds 8                       go on after 4 rounds, or where Ctrl-C ended it

what comes out: FOLDER/round_N with recordings/ and bundle/, and FOLDER/improve.json.
exit code: 0 when the last round drives farther between failures than the first one.
"""


def add_verbs(verbs: Any) -> None:
    """Add ``improve``."""
    parser = verbs.add_parser(
        "improve",
        help="let the simulator's expert correct a pilot, round after round",
        description="Train, drive in the simulator, gather corrections, train on; repeat.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--config", metavar="FILE", help="car.toml (default: ./car.toml if there)")
    add("--output", metavar="FOLDER", default="improve", help="made, or gone on with (improve)")
    add("--rounds", type=natural, default=4, help="rounds of corrections after the first (4)")
    add("--difficulty", type=share, default=1.0, help="of the tracks, 0 easy … 1 hard (1)")
    add("--frames", type=positive, default=1500, help="that the expert shows at first (1500)")
    add("--corrections", type=positive, default=2000, help="frames gathered a round (2000)")
    add("--epochs", type=positive, default=8, help="of training in each round (8)")
    add("--tracks", type=positive, default=32, help="unseen tracks, driven to measure (32)")
    add("--seconds", type=seconds, default=30.0, help="simulated, at most, on each of them (30)")
    add("--seed", type=natural, default=0, help="the same gives the same rounds (0)")
    add("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run=_improve, default=parser.get_default)


@dataclass(frozen=True)
class Plan:
    """What the rounds of one folder have in common; going on with another is refused."""

    difficulty: float
    frames: int
    corrections: int
    epochs: int
    tracks: int
    seconds: float
    seed: int
    width: int
    height: int
    fps: float


def _improve(arguments: argparse.Namespace) -> int:
    from autcar.files import write_atomic
    from autcar.progress import terminal_progress

    config = load_config(arguments.config)
    if config.camera.driver != "simulator":
        raise ConfigError("the expert knows only the simulated car; set [camera] driver to it")
    camera = config.camera
    plan = Plan(
        arguments.difficulty,
        arguments.frames,
        arguments.corrections,
        arguments.epochs,
        arguments.tracks,
        arguments.seconds,
        arguments.seed,
        camera.width,
        camera.height,
        camera.fps,
    )
    folder = Path(arguments.output)
    rounds = _begin(folder, plan)
    simulator = replace(config.simulator, difficulty=plan.difficulty)
    config = replace(config, simulator=simulator)
    progress = terminal_progress()
    if rounds:
        progress.say(f"going on after round {len(rounds) - 1} of {folder}")
    try:
        for number in range(len(rounds), arguments.rounds + 1):
            progress.say(f"round {number} of {arguments.rounds}")
            rounds.append(_round(config, plan, folder, number, progress))
            write_atomic(folder / RESULTS, json.dumps(rounds, indent=2) + "\n")
            progress.say("  " + _row(rounds[-1]))
    except KeyboardInterrupt:
        print(table(rounds))
        print(f"go on with: {_same_command(arguments)}")
        raise
    print(table(rounds))
    best = max(rounds, key=lambda found: found["metres_between"])
    print(f"next: autcar drive --bundle {folder / _name(best['round']) / 'bundle'}")
    if arguments.json:
        print(json.dumps({"plan": asdict(plan), "rounds": rounds}))
    return 0 if rounds[-1]["metres_between"] > rounds[0]["metres_between"] else 1


def _same_command(arguments: argparse.Namespace) -> str:
    """What was typed, but for what is so by default."""
    words = ["autcar", "improve"]
    plan = [field.name for field in fields(Plan) if field.name in arguments]
    for name in ("config", "output", "rounds", *plan):
        value = getattr(arguments, name)
        if value != arguments.default(name):
            words += [f"--{name}", str(value)]
    return shlex.join(words + ["--json"] * arguments.json)


def _begin(folder: Path, plan: Plan) -> list[dict[str, Any]]:
    """Make the folder, or read the rounds that were finished in it under the same plan."""
    from autcar.files import write_atomic

    if not (folder / PLAN).is_file():
        if folder.exists() and any(folder.iterdir()):
            raise DataError(f"{folder} was not made by improve; give another --output")
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / PLAN, json.dumps(asdict(plan), indent=2) + "\n")
        return []
    try:
        before = Plan(**json.loads((folder / PLAN).read_text(encoding="utf-8")))
        results = folder / RESULTS
        rounds = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else []
    except (ValueError, TypeError) as error:
        raise DataError(f"{folder} cannot be read ({error}); give another --output") from error
    if before != plan:
        changed = ", ".join(
            f"{name} {old}" for name, old in asdict(before).items() if old != getattr(plan, name)
        )
        raise DataError(f"{folder} was begun with {changed}; say the same, or another --output")
    return list(rounds)


def _round(
    config: Config, plan: Plan, folder: Path, number: int, progress: Progress
) -> dict[str, Any]:
    """One round, done anew from its beginning: what an interrupted one left is removed."""
    from autcar.simulator.unseen import Measure, drive_unseen
    from edge.pilots import BundlePilot
    from trainer.learning.schedule import Schedule
    from trainer.pipeline import train_bundle
    from trainer.quiet import import_tensorflow
    from trainer.settings import Settings

    began = time.monotonic()
    here = folder / _name(number)
    shutil.rmtree(here, ignore_errors=True)
    recordings = here / "recordings"
    before = folder / _name(number - 1) if number else None
    if before is None:
        frames = _show(config, plan, recordings, progress)
        takeovers = 0
    else:
        from autcar.bundle import load_bundle

        pilot = BundlePilot(load_bundle(before / "bundle"))
        frames, takeovers = _correct(config, plan, pilot, recordings, number, progress)
    gathered = time.monotonic()
    import_tensorflow()
    settings = Settings(
        data=tuple(folder / _name(past) / "recordings" for past in range(number + 1)),
        output=here / "bundle",
        width=plan.width,
        height=plan.height,
        schedule=Schedule(epochs=plan.epochs),
        validation=0.1,
        test=0.1,
        seed=plan.seed,
        runs=here / "run",
        # A first round knows little and may be unsure; how it drives is measured below.
        force=True,
        start=_only_run(before) if before else None,
    )
    result = train_bundle(settings, progress)
    if result.history.ended == "interrupted":
        # The trainer packs its best epoch then; a round that was cut short is done anew.
        raise KeyboardInterrupt
    trained = time.monotonic()
    answer = BundlePilot(result.bundle).scores
    measure = Measure.of(
        drive_unseen(
            config,
            answer,
            tracks=plan.tracks,
            seconds=plan.seconds,
            seed=plan.seed,
            progress=progress,
        )
    )
    return {
        "round": number,
        "frames": frames,
        "takeovers": takeovers,
        "accuracy": round(result.evaluation.accuracy, 4),
        **asdict(measure),
        "failures": measure.failures,
        "metres_between": round(measure.metres_between, 2),
        "gather_s": round(gathered - began, 1),
        "train_s": round(trained - gathered, 1),
        "measure_s": round(time.monotonic() - trained, 1),
    }


def _name(number: int) -> str:
    return f"round_{number}"


def _only_run(round_folder: Path) -> Path:
    runs = sorted((round_folder / "run").iterdir())
    if not runs:
        raise DataError(f"{round_folder} has no run; remove it from {RESULTS} and go on")
    return runs[-1]


def _show(config: Config, plan: Plan, recordings: Path, progress: Progress) -> int:
    """The expert drives by itself at first."""
    from capture.simulated import record_expert

    each = 800
    frames = 0
    while frames < plan.frames:
        seed = _TRAINING_SEEDS + plan.seed * 1000 + frames // each
        writer = record_expert(config, recordings, seed, min(each, plan.frames - frames), progress)
        frames += writer.frames
    return frames


def _correct(
    config: Config, plan: Plan, pilot: Pilot, recordings: Path, number: int, progress: Progress
) -> tuple[int, int]:
    """Gather corrections on fresh tracks; returns frames and takeovers."""
    frames = takeovers = track = 0
    while frames < plan.corrections:
        seed = _TRAINING_SEEDS + 500_000 + (plan.seed * 100 + number) * 1000 + track
        wanted = min(plan.corrections - frames, max(plan.corrections // 20, 50))
        found = gather_corrections(config, pilot, recordings, seed, wanted)
        frames, takeovers, track = frames + found[0], takeovers + found[1], track + 1
        progress.step("gathering corrections", frames, plan.corrections)
    return frames, takeovers


def gather_corrections(
    config: Config, pilot: Pilot, recordings: Path, seed: int, frames: int
) -> tuple[int, int]:
    """Let ``pilot`` drive the track of ``seed`` until ``frames`` frames are worth learning.

    Those are all where the expert would have done otherwise, an eighth of the others, and
    those where the expert took over because the car had left the track or stood still
    (source ``takeover``). Returns how many were recorded, and how often the expert took over.
    """
    from autcar.cameras.base import Frame
    from autcar.recording.session import SessionWriter
    from autcar.simulator.expert import Expert
    from autcar.simulator.unseen import Standing, varied_world
    from edge.pilots import chosen

    world = varied_world(config, seed)
    expert = Expert(world)
    period_ns = round(1e9 / config.camera.fps)
    takeovers = 0
    helped_since_ns: int | None = None
    standing = Standing(world)
    with SessionWriter(
        recordings,
        width=config.camera.width,
        height=config.camera.height,
        fps=config.camera.fps,
        car=f"{config.car.name} (simulated)",
        name=f"corrections_{seed}",
        quality=config.record.quality,
        clock=lambda: _EPOCH,
        self_sync=False,
    ) as writer:
        # Even a pilot that never errs comes to an end: it is watched twenty times as long.
        for number in range(20 * frames):
            if writer.frames >= frames:
                break
            frame = Frame(world.render(), number, world.time_ns)
            right = expert.decide()
            said = chosen(pilot.scores(frame))
            stuck = standing.seconds > _HELPED_STANDING_S
            if helped_since_ns is None and (world.off_track or stuck):
                helped_since_ns = world.time_ns
                takeovers += 1
            helped = helped_since_ns is not None
            if helped:
                writer.write(frame, right, "takeover")
            elif said != right.nearest_class() or number % _KEEP_AGREED == 0:
                writer.write(frame, right, "expert")
            world.set_wheels(*(right if helped else said).wheels)
            world.step(period_ns * 1e-9)
            standing.update()
            if helped_since_ns is not None:
                helped_s = (world.time_ns - helped_since_ns) / 1e9
                if helped_s > _BACK_S:
                    world.place(world.lane[0])
                if helped_s > _BACK_S or (helped_s > _HELPED_S and _is_back(world)):
                    helped_since_ns = None
                    standing = Standing(world)
        written = writer.frames
    return written, takeovers


def _is_back(world: World) -> bool:
    _, lateral, askew = world.lane
    return abs(lateral) < _BACK_M and abs(askew) < _BACK_RAD


def _row(found: dict[str, Any]) -> str:
    none = "≥" if found["failures"] == 0 else ""
    between = f"{none}{found['metres_between']:.1f}"
    clean = f"{found['clean_tracks']} of {found['tracks']}"
    return (
        f"{found['round']:>5}{found['frames']:>8,}{found['takeovers']:>11}"
        f"{found['accuracy']:>10.1%}{found['metres']:>9.0f}{found['left_track']:>10}"
        f"{found['stood']:>7}{found['stopped']:>9}{between:>18}{clean:>13}{found['train_s']:>9.0f}"
    )


def table(rounds: Sequence[dict[str, Any]]) -> str:
    """The rounds, one a line."""
    head = (
        f"{'round':>5}{'frames':>8}{'takeovers':>11}{'accuracy':>10}{'metres':>9}{'left it':>10}"
        f"{'stood':>7}{'stopped':>9}{'m between them':>18}{'clean tracks':>13}{'train s':>9}"
    )
    return "\n".join(["", head, *(_row(found) for found in rounds)])
