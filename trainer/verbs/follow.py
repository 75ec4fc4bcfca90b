"""``train`` and ``eval`` on images with masks."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

from autcar.arguments import refuse_unused
from autcar.errors import ConfigError
from trainer.verbs.arguments import asked_schedule

_NOT_TRAINED_WITH = """
    auto no_restart restarts hang_minutes class_batch class_offset log_file
    run_inference resume from teacher workers worker launch heads test include_deleted
    augment augment_factor balance label_smoothing focal precision variants force
    tensorboard
"""
_NOT_SCORED_WITH = "against tracks seconds difficulty include_deleted test"
_WHY = "it is not for images with masks; leave it out"


def train_masks(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """What ``train`` does with images and masks; returns the exit code."""
    from autcar.progress import terminal_progress
    from trainer.learning.devices import use_gpu
    from trainer.quiet import import_tensorflow

    refuse_unused(parser, arguments, _NOT_TRAINED_WITH.split(), _WHY)
    if arguments.shape != "plateau":
        refuse_unused(
            parser, arguments, ["patience"], "with masks all epochs are done; leave it out"
        )
    if not arguments.data:
        raise ConfigError("there is no DATA; give a folder with images and masks in it")
    import_tensorflow()
    use_gpu(arguments.gpu)

    from trainer.follow.pipeline import SCHEDULE, FollowSettings, train_follow
    from trainer.follow.segmentation import table

    settings = FollowSettings(
        data=tuple(arguments.data),
        output=arguments.output,
        network=arguments.network or "follow",
        size=arguments.size,
        steps=arguments.steps,
        batch_size=arguments.batch_size or 32,
        schedule=replace(SCHEDULE, **asked_schedule(arguments)),
        split=arguments.split,
        validation=arguments.validation,
        seed=arguments.seed,
        runs=arguments.run_dir,
        keep_earlier=True,
    )
    result = train_follow(settings, terminal_progress())
    print(table(result.found["int8"]))
    print(f"bundle {result.bundle.folder}, run {result.run}")
    print(
        f"next: autcar eval {result.bundle.folder} DATA --split all, with images that training "
        f"never saw"
    )
    return 0 if result.proven else 1


def eval_masks(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """What ``eval`` does for a bundle that follows; returns the exit code."""
    from autcar.bundle import load_bundle
    from autcar.progress import terminal_progress
    from trainer.follow.evaluate import evaluate_follow
    from trainer.follow.segmentation import table

    refuse_unused(parser, arguments, _NOT_SCORED_WITH.split(), _WHY)
    picture = arguments.report and arguments.report / "answers.png"
    found = evaluate_follow(
        load_bundle(arguments.bundle),
        arguments.data,
        variant=arguments.variant,
        split=arguments.split,
        validation=arguments.validation,
        seed=arguments.seed,
        progress=None if arguments.json else terminal_progress(),
        picture=picture,
    )
    print(json.dumps(found.as_dict()) if arguments.json else table(found))
    if picture and not arguments.json:
        print(f"images, truth and answers: {picture}")
    return 0
