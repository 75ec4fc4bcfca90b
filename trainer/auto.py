"""Training that nobody watches: it restarts where it stalls, keeps the best, and reports.

Every attempt is a run of ``autcar train --resume`` in a process of its own, so whatever
kills or hangs it costs no more than the epoch it was in. An attempt that stalls below the
level asked for is followed by another from the best weights so far, with one thing
changed: more augmented copies, another batch, a lower rate. Only the best and the latest
run are kept. The same command goes on where an earlier one was ended.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from autcar.bundle import keep_earlier
from autcar.errors import DataError, TrainingError
from autcar.files import write_atomic
from trainer.data.dataset import Dataset
from trainer.learning.schedule import Level
from trainer.learning.warm_start import SUMMARY
from trainer.run_folder import CHECKPOINT, RunFolder
from trainer.settings import Settings

STATE = "training_summary.json"
PICTURE = "training.png"
MOST_DEATHS = 3
"""How often in a row a run may end by itself before its first new epoch: then it is not chance."""

_MOVED = "rotation=0.5,degrees=6,shift=0.6,shift_x=0.08,shift_y=0.08,zoom=0.3,zoom_size=0.1"
"""What changes the copies of an image: they are shown often, so that they move more, too."""


@dataclass(frozen=True)
class Plan:
    """How to go about it. ``settings.schedule.until`` is the level to reach.

    ``restarts`` are attempts after the first. ``most_augmented`` bounds how often an image is
    shown in an epoch, each time augmented anew. ``hang_s`` is how long a run may say
    nothing. ``class_batch`` classes are learnt first, then as many more, and so on (0: all
    at once), ``class_offset`` of them at the beginning beside the first batch. ``options``
    are further ones for ``autcar train --resume``.
    """

    settings: Settings
    folder: Path
    restarts: int = 12
    most_augmented: int = 15
    hang_s: float = 900.0
    class_batch: int = 0
    class_offset: int = 0
    options: tuple[str, ...] = ()


@dataclass
class Attempt:
    """One run of training. ``ended`` says why it did.

    ``figures`` are those of validation, such as ``balanced_accuracy``, after the epoch that
    was packed; ``accuracy`` is one of them, ``curve`` that one by epoch.
    ``classes`` of all are learnt. ``deaths`` counts how often its process was killed or
    hung and was begun again.
    """

    number: int
    change: str
    batch_size: int
    learning_rate: float
    augment: str
    augment_factor: int
    classes: int
    start: str | None
    accuracy: float = 0.0
    curve: list[float] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    ended: str = ""
    reached: bool = False
    proven: bool = False
    deaths: int = 0
    seconds: float = 0.0

    def meets(self, goal: str) -> bool:
        """Whether what was packed is as good as ``goal``, such as ``"accuracy=0.9"``."""
        name = goal.partition("=")[0].strip().removeprefix("val_")
        figures = self.figures or {"accuracy": self.accuracy}
        level = Level.parse(goal, [name])
        return level is not None and name in figures and level.reached(figures[name])


@dataclass
class State:
    """What :data:`STATE` holds. ``best`` is the number of the best attempt, 0 for none."""

    digest: str
    goal: str
    attempts: list[Attempt] = field(default_factory=list)
    best: int = 0
    done: str = ""

    @classmethod
    def load(cls, path: Path, digest: str, goal: str) -> State:
        """What an earlier command left in ``path``, or a beginning.

        Raises :class:`DataError` for a file of other data, or one that cannot be read.
        """
        if not path.exists():
            return cls(digest, goal)
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            state = cls(**{**raw, "attempts": [Attempt(**one) for one in raw["attempts"]]})
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{path} cannot be read ({error}); remove its folder") from error
        if state.digest != digest:
            raise DataError(
                f"{path} is of other data: images came or went since; remove {path.parent}, or "
                f"name another --output"
            )
        if state.goal != goal:
            for attempt in state.attempts:
                attempt.reached = attempt.meets(goal)
        state.goal, state.done = goal, ""
        return state

    def save(self, path: Path) -> None:
        """Write the file whole."""
        write_atomic(path, json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n")

    def attempt(self, number: int) -> Attempt:
        """By its number, from 1."""
        return self.attempts[number - 1]


def train_unattended(plan: Plan, dataset: Dataset, say: Callable[[str], None] = print) -> State:
    """Train until the level is reached or the restarts are used up; returns what happened.

    ``dataset`` is what the settings name. The best run lies in ``plan.folder/best`` then,
    its bundle at ``settings.output``. Raises :class:`TrainingError` when a run ends by
    itself again and again, or the best one made no bundle.
    """
    classes = len(dataset.classes)
    plan.folder.mkdir(parents=True, exist_ok=True)
    summary = plan.folder / STATE
    state = State.load(summary, dataset.digest(), plan.settings.schedule.until)
    if state.attempts and not state.attempts[-1].ended:
        say(f"goes on with attempt {state.attempts[-1].number}")
        if not (plan.folder / "latest" / CHECKPOINT).exists():
            # There is no epoch to go on from: it begins as it is asked for now.
            state.attempts.pop()
    while True:
        if not state.attempts or state.attempts[-1].ended:
            attempt = _next(plan, state, classes)
            if attempt is None:
                break
            state.attempts.append(attempt)
            shutil.rmtree(plan.folder / "latest", ignore_errors=True)
        else:
            attempt = state.attempts[-1]
        state.save(summary)
        _run(plan, attempt, dataset, say, lambda: state.save(summary))
        _keep_best(plan, state)
        state.save(summary)
        plot_attempts(state, plan.folder / PICTURE)
        say(_line(attempt, state))
    return _finish(plan, state, classes, say)


def _next(plan: Plan, state: State, classes: int) -> Attempt | None:
    """The attempt that follows, None where enough is reached or tried."""
    settings = plan.settings
    if not state.attempts:
        first = min(plan.class_offset + (plan.class_batch or classes), classes)
        return Attempt(
            1,
            "as asked",
            settings.batch_size,
            settings.schedule.learning_rate,
            settings.augment,
            settings.augment_factor,
            first,
            str(settings.start) if settings.start else None,
        )
    last = state.attempts[-1]
    number = last.number + 1
    best = state.attempt(state.best) if state.best else last
    if best.reached and best.classes == classes:
        return None
    if last.number > plan.restarts:
        return None
    base = replace(best, number=number, start=_start(plan, state), **_BLANK)
    if best.reached:
        more = min(best.classes + plan.class_batch, classes)
        return replace(base, classes=more, change=f"{more} of {classes} classes")
    return _changed(base, plan, [one for one in state.attempts if one.classes == best.classes])


_BLANK: dict[str, Any] = {
    "accuracy": 0.0,
    "curve": [],
    "figures": {},
    "ended": "",
    "reached": False,
    "proven": False,
    "deaths": 0,
    "seconds": 0.0,
}


def _start(plan: Plan, state: State) -> str | None:
    return str(plan.folder / "best") if state.best else None


def _changed(base: Attempt, plan: Plan, tried: Sequence[Attempt]) -> Attempt:
    """``base`` with one thing changed: copies while there may be more, else batch, else rate."""
    turn = len(tried) - 1
    if turn % 3 == 0 and base.augment_factor < plan.most_augmented:
        copies = min(2 * base.augment_factor + 1, plan.most_augmented)
        return replace(
            base,
            augment_factor=copies,
            augment=_moved(plan.settings.augment),
            change=f"{copies} augmented copies an epoch",
        )
    if turn % 3 == 1:
        size = max(8, base.batch_size // 2) if turn % 2 else base.batch_size * 2
        return replace(base, batch_size=size, change=f"batches of {size}")
    rate = base.learning_rate / 2
    return replace(base, learning_rate=rate, change=f"a rate of {rate:g}")


def _moved(augment: str) -> str:
    """``augment`` with :data:`_MOVED` in place of its preset's values; its own stay."""
    first, *own = augment.split(",")
    return ",".join([_MOVED, first, *own] if "=" in first else [first, _MOVED, *own])


def _run(
    plan: Plan,
    attempt: Attempt,
    dataset: Dataset,
    say: Callable[[str], None],
    save: Callable[[], None],
) -> None:
    """Run ``attempt`` in ``latest``, again where it dies, and write down how it ended."""
    path = plan.folder / "latest"
    settings = _settings(plan, attempt, path)
    whole = attempt.classes == len(dataset.classes)
    digest = (dataset if whole else dataset.first_classes(attempt.classes)).digest()
    if not (path / "run.json").exists():
        say(f"attempt {attempt.number}: {attempt.change}")
        RunFolder.begin(path, settings, digest)
    run = RunFolder(path, settings, digest)
    fruitless = 0
    began = time.monotonic() - attempt.seconds
    while True:
        epochs = _epochs(run)
        code, why = _child(plan, path, say)
        attempt.seconds = round(time.monotonic() - began, 1)
        if code in (0, 1) and (path / SUMMARY).exists():
            break
        if code == 130:
            save()
            raise KeyboardInterrupt
        fruitless = 0 if _epochs(run) > epochs else fruitless + 1
        attempt.deaths += 1
        save()
        if code == 2 or fruitless == MOST_DEATHS:
            raise TrainingError(
                f"attempt {attempt.number} {why} before its next epoch, {fruitless} times; read "
                f"{run.log}, mend that, and say the same command again"
            )
        say(f"attempt {attempt.number} {why} after {_epochs(run)} epochs; it goes on from there")
    found = json.loads((path / SUMMARY).read_text(encoding="utf-8"))
    history = found["history"]
    attempt.curve = [round(epoch["val_accuracy"], 4) for epoch in history["epochs"]]
    packed = history["epochs"][history["best"] - 1]
    attempt.figures = {
        name.removeprefix("val_"): round(value, 4)
        for name, value in packed.items()
        if name.startswith("val_")
    }
    attempt.accuracy = attempt.figures["accuracy"]
    attempt.ended = history["ended"]
    # A run that goes on was begun for the level that was asked for then.
    attempt.reached = attempt.meets(settings.schedule.until)
    attempt.proven = code == 0


def _settings(plan: Plan, attempt: Attempt, path: Path) -> Settings:
    return replace(
        plan.settings,
        output=path / plan.settings.output.name,
        schedule=replace(plan.settings.schedule, learning_rate=attempt.learning_rate),
        batch_size=attempt.batch_size,
        augment=attempt.augment,
        augment_factor=attempt.augment_factor,
        first_classes=attempt.classes,
        start=Path(attempt.start) if attempt.start else None,
        runs=path.parent,
        keep_earlier=False,
    )


def _epochs(run: RunFolder) -> int:
    saved = run.checkpoint.load()
    return len(saved.history.epochs) if saved else 0


def _child(plan: Plan, path: Path, say: Callable[[str], None]) -> tuple[int, str]:
    """Run the process to its end; its exit code, and in words how it ended."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "autcar", "train", "--resume", str(path), *plan.options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines: Queue[str | None] = Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line.rstrip("\n"))
        lines.put(None)

    threading.Thread(target=read, name="training's output", daemon=True).start()
    try:
        while (line := lines.get(timeout=plan.hang_s)) is not None:
            say(line)
    except Empty:
        process.kill()
        process.wait()
        return -signal.SIGKILL, f"said nothing for {plan.hang_s:.0f} s"
    except BaseException:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        raise
    code = process.wait()
    if code < 0:
        return code, f"was ended by {signal.Signals(-code).name}"
    return code, f"ended with exit code {code}"


def _keep_best(plan: Plan, state: State) -> None:
    """Copy the latest run to ``best`` where it is better, or knows more classes."""
    latest = state.attempts[-1]
    before = state.attempt(state.best) if state.best else None
    if before and _rank(before) >= _rank(latest):
        return
    _copy_whole(plan.folder / "latest", plan.folder / "best")
    state.best = latest.number


def _rank(attempt: Attempt) -> tuple[int, bool, float]:
    return attempt.classes, attempt.reached, attempt.accuracy


def _copy_whole(source: Path, target: Path) -> None:
    """Put a copy of ``source`` at ``target``: what was there before, or all of it."""
    new, old = (target.with_name(f".{target.name}.{what}") for what in ("new", "old"))
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(source, new)
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _finish(plan: Plan, state: State, classes: int, say: Callable[[str], None]) -> State:
    best = state.attempt(state.best)
    name = plan.settings.output.name
    made = plan.folder / "best" / name
    reached = best.reached and best.classes == classes
    state.done = "reached" if reached else "restarts used up"
    state.save(plan.folder / STATE)
    if not made.is_dir():
        raise TrainingError(
            f"attempt {best.number} is the best with {best.accuracy:.3f}, but made no bundle; "
            f"read {plan.folder / 'best' / 'train.log'}"
        )
    output = plan.settings.output
    output.parent.mkdir(parents=True, exist_ok=True)
    if plan.settings.keep_earlier and (earlier := keep_earlier(output)):
        say(f"the earlier {output} is now {earlier}")
    _copy_whole(made, output)
    say(
        f"{state.goal} {'reached' if reached else 'NOT reached'} in {len(state.attempts)} "
        f"attempts: attempt {best.number} has {best.accuracy:.3f} in validation; "
        f"bundle {output}, report "
        f"{plan.folder / STATE} and {PICTURE}"
    )
    return state


def _line(attempt: Attempt, state: State) -> str:
    best = "; the best so far" if state.best == attempt.number else ""
    return (
        f"attempt {attempt.number} ({attempt.change}): {attempt.ended}, validation accuracy "
        f"{attempt.accuracy:.3f} after {len(attempt.curve)} epochs{best}"
    )


def plot_attempts(state: State, path: Path) -> Path:
    """Draw validation accuracy over all epochs, a line where each attempt began."""
    from trainer.report.plots import BLUE, GREY, ORANGE, new_figure, save_figure

    figure, axes = new_figure(9, 4.2)
    done = 0
    for attempt in state.attempts:
        if not attempt.curve:
            continue
        epochs = range(done + 1, done + len(attempt.curve) + 1)
        best = attempt.number == state.best
        axes.plot(epochs, attempt.curve, lw=2.4 if best else 1.4, color=BLUE if best else GREY)
        axes.axvline(done + 0.5, color=GREY, lw=0.4, zorder=0)
        axes.annotate(
            f"{attempt.number}. {attempt.change}",
            (done + 0.7, 1.03),
            rotation=30,
            va="bottom",
            annotation_clip=False,
            fontsize=8,
            color=GREY,
        )
        done += len(attempt.curve)
    name, _, goal = state.goal.partition("=")
    if name.endswith("accuracy") and not name.endswith("loss"):
        axes.axhline(float(goal), color=ORANGE, lw=1.2, ls="--", label=f"{name} {goal}")
        axes.legend(frameon=False, loc="lower right")
    axes.set(
        xlabel="epoch, all attempts",
        ylabel="validation accuracy",
        ylim=(0, 1.02),
        xlim=(0.5, None),
    )
    return save_figure(figure, path)
