"""``train`` and ``eval`` on images with masks."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

from autcar.errors import ConfigError
from trainer.verbs.arguments import asked_schedule, refuse


def train_masks(arguments: argparse.Namespace) -> int:
    """What ``train`` does with images and masks; returns the exit code."""
    from autcar.progress import terminal_progress
    from trainer.learning.devices import use_gpu
    from trainer.quiet import import_tensorflow

    refuse(arguments, "auto", "resume", "from", "teacher", "heads")
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
    print(f"next: autcar eval {result.bundle.folder} and images that training never saw")
    return 0 if result.proven else 1


def eval_masks(arguments: argparse.Namespace) -> int:
    """What ``eval`` does for a bundle that follows; returns the exit code."""
    from autcar.bundle import load_bundle
    from autcar.progress import terminal_progress
    from trainer.follow.evaluate import evaluate_follow
    from trainer.follow.segmentation import table

    refuse(arguments, "against", "tracks")
    picture = arguments.report and arguments.report / "answers.png"
    found = evaluate_follow(
        load_bundle(arguments.bundle),
        arguments.data,
        variant=arguments.variant,
        progress=None if arguments.json else terminal_progress(),
        picture=picture,
    )
    print(json.dumps(found.as_dict()) if arguments.json else table(found))
    if picture and not arguments.json:
        print(f"images, truth and answers: {picture}")
    return 0
