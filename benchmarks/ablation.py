"""What mirroring, augmentation, balancing and the network each give on real recordings.

    python benchmarks/ablation.py TUB [--seeds 3] [--size 112x84] [--epochs 0] [--only NAME …]

Trains the default and variants of it that differ in one thing, all from the same decoded
frames, and tests each on the last 15 % of time: five steering classes on frames that were
driven forward. TUB is a Donkeycar tub, flagged frames included. The reference is a small CNN
(60×80) on ``tub_formula_usi``, the tub of docs/from-donkeycar.md. Prints a table, mean ±
standard deviation over the seeds after each variant, and a line of JSON; Ctrl-C keeps what is
done.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from trainer.quiet import import_tensorflow

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "no mirror": {"augment": "default,mirror=0"},
    "no augmentation": {"augment": "none"},
    "light augmentation": {"augment": "light"},
    "balance: none": {"balance": "none"},
    "balance: weights": {"balance": "weights"},
    "network: autcar": {"network": "autcar"},
    "network: pilotnet": {"network": "pilotnet"},
    "network: factored": {"network": "factored"},
}
FIGURES = ("accuracy", "balanced_accuracy", "within_one")
REFERENCE = {"accuracy": 0.53, "balanced_accuracy": 0.42, "within_one": 0.74}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("tub", type=Path)
    add("--seeds", type=int, default=3)
    add("--size", default="112x84", help="of the frames, width x height (112x84)")
    add("--epochs", type=int, default=0, help="at most; 0 as many as `autcar train` takes (0)")
    add("--only", nargs="*", choices=VARIANTS, help="these variants (all)")
    arguments = parser.parse_args()
    import_tensorflow()
    from autcar.progress import Progress
    from trainer.data.dataset import load_dataset
    from trainer.data.split import make_split
    from trainer.learn import read_frames
    from trainer.learning.schedule import Schedule
    from trainer.settings import Settings

    width, height = map(int, arguments.size.split("x"))
    settings = Settings(
        data=(arguments.tub,),
        output=Path("unused"),
        width=width,
        height=height,
        split="last",
        include_deleted=True,
        schedule=Schedule(epochs=arguments.epochs),
    )
    dataset = load_dataset(settings.data, include_deleted=True)
    split = make_split(dataset, settings.split)
    frames = read_frames(dataset, split, settings, Progress())
    print(f"{len(split.train):,} frames to train, {len(split.test):,} to test, {arguments.size}")
    print(
        f"{'variant':<22}{'seeds':>6}" + "".join(f"{name:>20}" for name in FIGURES) + f"{'s':>7}"
    )
    print(f"{'reference':<28}" + "".join(f"{REFERENCE[name]:>20.3f}" for name in FIGURES))
    rows: dict[str, list[dict[str, float]]] = {}
    try:
        for name in arguments.only or VARIANTS:
            for seed in range(arguments.seeds):
                changed = replace(settings, seed=seed, **VARIANTS[name])
                rows.setdefault(name, []).append(trained(frames, changed))
            print(line(name, rows[name]), flush=True)
    except KeyboardInterrupt:
        print("interrupted")
    setting = {"size": arguments.size, "epochs": arguments.epochs}
    print(json.dumps({"reference": REFERENCE, "settings": setting, "variants": rows}))
    return 0


def trained(frames: Any, settings: Any) -> dict[str, float]:
    """Train once; the figures on the test part, by the Keras model."""
    from autcar.progress import Progress
    from trainer.data.batches import Batches
    from trainer.learn import Network, learn
    from trainer.learning.training import predict
    from trainer.learning.workers import Workers
    from trainer.proof.evaluation import evaluate_steering

    began = time.process_time()
    network = Network.new(settings, frames.dataset, Workers())
    learned = learn(frames, network, settings, Progress())
    test = Batches(frames.cache, frames.dataset.labels, frames.split.test, shuffle=False)
    scores, truth = predict(learned.model, test, Progress())
    found = evaluate_steering(truth, scores)
    assert found is not None, "the test part has no forward frame"
    return {
        **{name: round(getattr(found, name), 4) for name in FIGURES},
        "epochs": len(learned.history.epochs),
        "cpu_s": round(time.process_time() - began, 1),
    }


def line(name: str, rows: list[dict[str, float]]) -> str:
    """Mean ± standard deviation of each figure, and the CPU seconds of a training."""
    cells = []
    for figure in FIGURES:
        values = np.array([row[figure] for row in rows])
        spread = f" ± {values.std(ddof=1):.3f}" if len(rows) > 1 else ""
        cells.append(f"{values.mean():.3f}{spread}".rjust(20))
    seconds = np.mean([row["cpu_s"] for row in rows])
    return f"{name:<22}{len(rows):>6}{''.join(cells)}{seconds:>7.0f}"


if __name__ == "__main__":
    sys.exit(main())
