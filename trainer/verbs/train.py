"""The verb ``train``."""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autcar.arguments import above_zero, from_zero, natural, positive, share
from autcar.errors import ConfigError
from trainer.verbs.arguments import SPLITS, add_parser, asked_schedule, names, size
from trainer.verbs.follow import train_masks

if TYPE_CHECKING:
    from trainer.learning.workers import Workers
    from trainer.settings import Settings

_TRAIN_EXAMPLES = """\
examples:
  autcar train recordings --output models/mine
  autcar train monday tuesday --network autcar --epochs 10
  autcar train tub --include-deleted --split last     a Donkeycar tub, tested on its last part
  autcar train stars --network star --split source    folders class/player/image, players apart
  autcar train shapes --heads color,percentage        folders such as blue_21
  autcar train recordings --augment default,rotation=0.7,degrees=5,mirror=0
  autcar train recordings --network mine:build        your own function in mine.py
  autcar train recordings --from runs/2026-11-20_10-00-00_mine    from what it knows already
  autcar train recordings --teacher runs/2026-11-20_10-00-00_large    taught by a larger network
  autcar train recordings --auto --until accuracy=0.95            overnight
  autcar train --resume runs/2026-11-20_10-00-00_mine             after a crash or Ctrl-C
  autcar train people --output models/hero            images with masks: a bundle to follow

what comes out: the bundle (int8 and float32 files, manifest.json, card.md), and under
--run-dir a folder with summary.json, train.log and pictures. Ctrl-C keeps the best so far.

A file that agrees with the trained model on less than 98 % of the test frames, or is right
in over 1 point less of them, is not shipped: exit code 1, and what to try. --resume RUN with
--force or other --variants ships it without training anew.
Each epoch is saved there: --resume ends as if training had never been cut short.
A bundle that was there before stays, as models/mine_1 and so on.
"""

_GOAL = "accuracy=0.9"


def add_verb(verbs: Any) -> None:
    """Add ``train`` to the sub-parsers of the ``autcar`` command."""
    parser = add_parser(verbs, "train", "make a bundle of recordings", _TRAIN_EXAMPLES)
    add = parser.add_argument
    add("data", nargs="*", metavar="DATA", help="recordings, tubs, class folders, images + masks")
    add("--task", choices=("drive", "follow"), help="what to learn (follow, of images with masks)")
    add("--output", type=Path, default=Path("models/mine"), help="the bundle (models/mine)")
    add(
        "--network",
        help="see `autcar networks`; also a .keras file or module:function (compact; follow)",
    )
    add("--size", type=size, metavar="WxH", help="of the frames (224x168; with masks, their own)")
    add("--batch-size", type=positive, help="frames a step (64; with masks, 32 crops)")
    add("--steps", type=positive, default=100, help="batches an epoch, with masks (100)")
    add(
        "--augment",
        default="default",
        metavar="PRESET,KIND=SHARE",
        help="none, light, default, tutorial, star or follow, and what is changed in it; "
        "`autcar data augment-preview` draws it (default)",
    )
    add(
        "--augment-factor",
        type=positive,
        default=1,
        metavar="N",
        help="show each image N times an epoch, augmented anew (1)",
    )
    add(
        "--balance",
        choices=("upsample", "weights", "none"),
        default="upsample",
        help="show rare classes more often, weigh them more, or neither (upsample)",
    )
    add(
        "--split",
        choices=SPLITS,
        default="auto",
        help="test on blocks of time from everywhere, on the last, on whole sessions or sources "
        "(drivers, players, days), or on the folder test/ (folders where there are, else blocks)",
    )
    add("--validation", type=share, default=0.15, help="share of the frames (0.15)")
    add("--test", type=share, default=0.15, help="share of the frames (0.15)")
    add(
        "--heads",
        type=names,
        metavar="A,B",
        help="what class folders such as blue_21 consist of: color,percentage",
    )
    add("--include-deleted", action="store_true", help="also frames that a tub flags as deleted")
    add("--seed", type=natural, default=0, help="the same gives the same model (0)")
    add(
        "--variants",
        type=names,
        metavar="LIST",
        help="of int8, float32, float16, dynamic (int8,float32); the car takes the fastest",
    )
    add("--force", action="store_true", help="ship even what does not answer as it was trained")
    add("--run-dir", type=Path, default=Path("runs"), help="for logs and pictures (runs)")
    add("--tensorboard", action="store_true", help="write event files into the run's folder, too")
    add("--resume", type=Path, metavar="RUN", help="go on with a run, with all its settings")
    add(
        "--from",
        type=Path,
        metavar="RUN",
        help="begin with a run's weights",
    )
    add(
        "--teacher",
        action="append",
        metavar="RUN",
        help="learn from the answers of a run's network, too: a larger one's, on the same data; "
        "give several for the mean of theirs",
    )
    add("--workers", type=names, metavar="HOST:PORT,…", help="train on several machines at once")
    add("--worker", type=natural, metavar="INDEX", help="which of the workers this one is, from 0")
    add("--launch", action="store_true", help="be worker 0 and start the others over ssh")
    add("--gpu", metavar="N", help="train on this one; none for the CPU (what there is)")
    _add_schedule(parser.add_argument_group("how it learns"))
    _add_auto(parser.add_argument_group("unattended"))
    parser.set_defaults(run=lambda arguments: _train(parser, arguments))


def _add_schedule(group: Any) -> None:
    add = group.add_argument
    add("--epochs", type=positive, help="at most so many (by the number of frames: 8 to 40)")
    add("--min-epochs", type=positive, help="never end before so many (3)")
    add("--patience", type=positive, help="stop after so many epochs no better than the best (10)")
    add("--until", metavar="LEVEL", help="stop when validation reaches this, as accuracy=0.9")
    add("--learning-rate", "--lr", type=above_zero, help="the highest (0.002)")
    add(
        "--schedule",
        dest="shape",
        choices=("cosine", "constant", "step", "plateau"),
        help="how the rate falls (cosine)",
    )
    add("--warm-up", type=from_zero, metavar="EPOCHS", help="the rate rises for so long (0.5)")
    add("--optimizer", choices=("adam", "nadam", "sgd"), help="how weights are moved (adam)")
    add(
        "--precision",
        choices=("float32", "bfloat16", "float16"),
        default="float32",
        help="of activations in training; halves are quicker where hardware has them (float32)",
    )
    add("--l2", type=from_zero, help="penalty on the squares of all kernels (0)")
    add("--label-smoothing", type=share, default=0.1, help="share of doubt in the labels (0.1)")
    add("--focal", type=from_zero, default=0.0, help="exponent that plays down what is right (0)")


def _add_auto(group: Any) -> None:
    add = group.add_argument
    add("--auto", action="store_true", help="restart where it stalls, until --until is reached")
    add("--no-restart", action="store_true", help="one attempt, begun again only where it dies")
    add("--restarts", type=positive, default=12, help="attempts after the first (12)")
    add("--hang-minutes", type=above_zero, default=15.0, help="silence that ends an attempt (15)")
    add("--class-batch", type=natural, default=0, metavar="N", help="learn N classes, then N more")
    add(
        "--class-offset",
        type=natural,
        default=0,
        metavar="N",
        help="begin with N more (0)",
    )
    add("--log-file", type=Path, help="what is said, here too")
    add("--run-inference", nargs="+", metavar="DATA", help="then evaluate on this, with a report")


def _train(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    from autcar.progress import terminal_progress
    from trainer.data.sources import has_masks
    from trainer.learning.devices import use_gpu
    from trainer.pipeline import help_training, train_bundle
    from trainer.proof.evaluation import table
    from trainer.quiet import import_tensorflow
    from trainer.run_folder import RunFolder

    masked = arguments.task is None and bool(arguments.data) and has_masks(arguments.data)
    if masked or arguments.task == "follow":
        return train_masks(parser, arguments)
    if arguments.auto:
        return _train_unattended(arguments)
    for option in ("no_restart", "class_batch", "class_offset", "log_file", "run_inference"):
        if getattr(arguments, option):
            raise ConfigError(f"--{option.replace('_', '-')} belongs to --auto; say that, too")
    if not arguments.resume and not arguments.worker:
        _check(_settings(arguments))
    import_tensorflow()
    use_gpu(arguments.gpu)
    with _others(arguments):
        workers = _workers(arguments)
        run = None
        if arguments.resume and workers.index == 0:
            run = RunFolder.open(arguments.resume)
        settings = _agreed(run.settings if run else None, arguments, workers)
        if workers.index:
            help_training(settings, terminal_progress(), workers)
            return 0
        result = train_bundle(settings, terminal_progress(), resume=run, workers=workers)
    print(table(result.evaluation))
    if result.steering:
        print(result.steering)
    print(f"bundle {result.bundle.folder}, run {result.run}")
    found = result.evaluation
    if found.accuracy <= found.baseline_accuracy:
        print(f"WARNING: it is right no more often than always {found.baseline_label} would be")
        print(f"next: autcar data check {settings.data[0]}, record more, train longer")
    elif result.bundle.manifest.task == "drive":
        print(f"next: autcar drive --bundle {result.bundle.folder}")
    else:
        print(f"next: autcar eval {result.bundle.folder} {settings.data[0]}")
    return 0


def _check(settings: Settings) -> None:
    """Say at once, and not after the seconds that TensorFlow takes to load, what is not there."""
    from trainer.learning.warm_start import model_of
    from trainer.networks import check_name
    from trainer.pipeline import check_output

    check_name(settings.network)
    check_output(settings.output)
    for folder in (*filter(None, [settings.start]), *map(Path, settings.teachers)):
        model_of(folder)


def _train_unattended(arguments: argparse.Namespace) -> int:
    from trainer.auto import Plan, train_unattended
    from trainer.pipeline import read_dataset

    settings = _settings(arguments)
    _check(settings)
    schedule = settings.schedule
    settings = replace(settings, schedule=replace(schedule, until=schedule.until or _GOAL))
    dataset = read_dataset(settings)
    plan = Plan(
        settings,
        arguments.run_dir / f"auto_{settings.output.name}",
        restarts=0 if arguments.no_restart else arguments.restarts,
        hang_s=60 * arguments.hang_minutes,
        class_batch=arguments.class_batch,
        class_offset=arguments.class_offset,
        options=("--gpu", arguments.gpu) if arguments.gpu else (),
    )
    with contextlib.ExitStack() as stack:
        log = None
        if arguments.log_file:
            arguments.log_file.parent.mkdir(parents=True, exist_ok=True)
            log = stack.enter_context(open(arguments.log_file, "a", encoding="utf-8"))

        def say(line: str) -> None:
            print(line, flush=True)
            if log:
                print(line, file=log, flush=True)

        state = train_unattended(plan, dataset, say)
    if state.done != "reached":
        return 1
    if arguments.run_inference:
        words = ["eval", str(settings.output), *arguments.run_inference, "--split", "all"]
        report = ["--report", str(plan.folder / "report")]
        return subprocess.call([sys.executable, "-m", "autcar", *words, *report])
    return 0


def _others(arguments: argparse.Namespace) -> contextlib.AbstractContextManager[None]:
    """The other workers, if they are to be started from here."""
    from trainer.learning.launch import other_workers, worker_commands

    if not arguments.launch or arguments.worker is not None:
        return contextlib.nullcontext()
    if not arguments.workers:
        raise ConfigError("--launch starts the others of --workers HOST:PORT,…; name them, too")
    return other_workers(worker_commands(arguments.workers, sys.argv[1:], Path.cwd()))


def _workers(arguments: argparse.Namespace) -> Workers:
    """Those that were asked for, by options or by ``TF_CONFIG``; else this process alone."""
    from trainer.learning.cluster import Cluster
    from trainer.learning.workers import Workers

    if not arguments.workers:
        return Cluster.of_environment() or Workers()
    if arguments.launch and arguments.worker is None:
        return Cluster(arguments.workers, 0)
    if arguments.worker is None:
        raise ConfigError(
            f"which of the workers {','.join(arguments.workers)} is this one? give --worker 0 on "
            f"the first, --worker 1 on the second; or --launch to start them all from here"
        )
    return Cluster(arguments.workers, arguments.worker)


def _agreed(resumed: Settings | None, arguments: argparse.Namespace, workers: Workers) -> Settings:
    """The settings of the run to resume, which worker 0 tells the others, or those asked for.

    A run goes on with what it was begun with, but for what is to be shipped of it.
    """
    from trainer.settings import Settings

    if not arguments.resume:
        return _settings(arguments)
    text = json.dumps(resumed.as_dict()) if resumed else ""
    with workers.together():
        settings = Settings.from_dict(json.loads(workers.share(text.encode())))
    return replace(
        settings,
        # Another machine may keep the same recordings elsewhere.
        data=tuple(arguments.data) or settings.data,
        variants=arguments.variants or settings.variants,
        force=arguments.force or settings.force,
    )


def _settings(arguments: argparse.Namespace) -> Settings:
    """What was asked on the command line."""
    from trainer import networks
    from trainer.learning.schedule import Schedule
    from trainer.proof.quantize import SHIPPED
    from trainer.settings import Settings

    if not arguments.data:
        raise ConfigError("there is no DATA; say `autcar train recordings`, or --resume RUN")
    width, height = arguments.size or (224, 168)
    return Settings(
        data=tuple(arguments.data),
        output=arguments.output,
        network=arguments.network or networks.DEFAULT,
        width=width,
        height=height,
        schedule=Schedule(**asked_schedule(arguments)),
        batch_size=arguments.batch_size or 64,
        augment=arguments.augment,
        augment_factor=arguments.augment_factor,
        balance=arguments.balance,
        label_smoothing=arguments.label_smoothing,
        focal=arguments.focal,
        precision=arguments.precision,
        start=vars(arguments)["from"],
        teachers=tuple(arguments.teacher or ()),
        split=arguments.split,
        validation=arguments.validation,
        test=arguments.test,
        include_deleted=arguments.include_deleted,
        heads=arguments.heads,
        seed=arguments.seed,
        runs=arguments.run_dir,
        variants=arguments.variants or SHIPPED,
        force=arguments.force,
        tensorboard=arguments.tensorboard,
        keep_earlier=True,
    )
