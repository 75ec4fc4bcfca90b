"""The verb ``sweep``."""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autcar.arguments import natural, positive
from autcar.errors import ConfigError
from trainer.verbs.arguments import add_parser, names, size

if TYPE_CHECKING:
    from autcar.progress import Progress
    from trainer.sweep import Sweep

_EXAMPLES = """\
examples:
  autcar sweep recordings --trials 30 --processes 2
  autcar sweep recordings --networks compact,mine:build --augments light,default
  autcar sweep recordings --study /mnt/shared/study.journal --join     on another machine

Each trial trains for a few epochs with settings that Optuna chooses by what went well; one
that is worse than the others is ended early. The best settings are then trained in full and
packed. The study is one file: whoever joins it shares the trials out, and a sweep that was
cut short goes on where it was.
"""


def add_verb(verbs: Any) -> None:
    """Add ``sweep`` to the sub-parsers of the ``autcar`` command."""
    parser = add_parser(verbs, "sweep", "search for good training settings", _EXAMPLES)
    add = parser.add_argument
    add("data", nargs="*", metavar="DATA", help="recordings, tubs, or folders of them")
    add(
        "--study",
        type=Path,
        default=Path("runs/sweep.journal"),
        help="its file (runs/sweep.journal)",
    )
    add("--join", action="store_true", help="only do trials of a study that was begun elsewhere")
    add("--trials", type=positive, default=20, help="in all (20)")
    add("--processes", type=positive, default=1, help="of this machine (1)")
    add("--trial-epochs", type=positive, default=6, help="of a trial (6)")
    add("--epochs", type=positive, help="of the winner, at most (as in train)")
    add("--networks", type=names, metavar="A,B", help="to choose from (compact,star,factored)")
    add("--augments", type=names, metavar="A,B", help="to choose from (none,light,default)")
    add("--size", type=size, default=(224, 168), metavar="WxH", help="of the frames (224x168)")
    add("--split", default="auto", help="as in train")
    add("--seed", type=natural, default=0, help="of split and training (0)")
    add("--output", type=Path, default=Path("models/mine"), help="the bundle (models/mine)")
    add("--run-dir", type=Path, default=Path("runs"), help="for logs and pictures (runs)")
    add("--force", action="store_true", help="ship the winner even where int8 falls short")
    parser.set_defaults(run=_sweep)


def _sweep(arguments: argparse.Namespace) -> int:
    from autcar.progress import terminal_progress
    from trainer.pipeline import check_output, train_bundle
    from trainer.proof.evaluation import table
    from trainer.quiet import import_tensorflow

    import_tensorflow()
    progress = terminal_progress()
    if not arguments.join:
        check_output(arguments.output)
    sweep = _begun(arguments)
    data = tuple(arguments.data) or sweep.settings.data
    settings = replace(sweep.settings, data=data)
    if arguments.join:
        print(f"{sweep.work(settings, progress)} trials done here; the study is {sweep.path}")
        return 0
    with _helpers(sweep, arguments.processes - 1, progress):
        sweep.work(settings, progress, wait=True)
    print(sweep.table())
    best, score = sweep.winner()
    chosen = f"{best.network}, augmentation {best.augment}, balance {best.balance}"
    progress.say(f"the winner ({chosen}; balanced accuracy {score:.3f}) is trained in full")
    told = {"output": arguments.output, "runs": arguments.run_dir, "force": arguments.force}
    best = replace(best, data=data, **told)
    result = train_bundle(best, progress)
    print(table(result.evaluation))
    print(f"bundle {result.bundle.folder}, run {result.run}, study {sweep.path}")
    return 0


def _begun(arguments: argparse.Namespace) -> Sweep:
    from trainer.learning.schedule import Schedule
    from trainer.settings import Settings
    from trainer.sweep import Space, Sweep

    if arguments.join:
        return Sweep.open(arguments.study)
    if not arguments.data:
        raise ConfigError("there is no DATA; say `autcar sweep recordings`")
    settings = Settings(
        data=tuple(str(Path(path).resolve()) for path in arguments.data),
        output=arguments.output,
        width=arguments.size[0],
        height=arguments.size[1],
        schedule=Schedule(epochs=arguments.epochs or 0),
        split=arguments.split,
        seed=arguments.seed,
        runs=arguments.run_dir,
        keep_earlier=True,
    )
    asked = {"networks": arguments.networks, "augments": arguments.augments}
    space = Space(**{name: value for name, value in asked.items() if value})
    _check(space, settings)
    return Sweep.begin(arguments.study, settings, space, arguments.trials, arguments.trial_epochs)


def _check(space: Any, settings: Any) -> None:
    """Refuse a name that is not there now, not in a trial an hour from now."""
    from trainer.data.augmentation import parse_augmentation
    from trainer.networks import check_name

    for name in space.networks:
        check_name(name)
    for text in space.augments:
        parse_augmentation(text)


@contextlib.contextmanager
def _helpers(sweep: Sweep, count: int, progress: Progress) -> Iterator[None]:
    """``count`` more processes on the same study, each with a log beside it."""
    words = [sys.executable, "-m", "autcar", "sweep", "--join", "--study", str(sweep.path)]
    helpers = []
    with contextlib.ExitStack() as stack:
        for number in range(1, count + 1):
            path = sweep.path.with_suffix(f".{number}.log")
            log = stack.enter_context(open(path, "w", encoding="utf-8"))
            helpers.append(subprocess.Popen(words, stdout=log, stderr=log))
            progress.say(f"process {number + 1} of {count + 1} says what it does in {path}")
        try:
            yield
            for helper in helpers:
                helper.wait()
        finally:
            for helper in helpers:
                helper.terminate()
                helper.wait()
