"""Trains the second model: which traffic sign stands before the car?

    python examples/two_models/train_sign.py [FOLDER]

Pictures of simulated tracks with and without signs, a small network of three classes
(none, priority, stop), and a bundle like any other. About two minutes on two cores.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from autcar.bundle import write_bundle
from autcar.simulator.sign import Sign
from autcar.simulator.track import Track
from autcar.simulator.world import World

LABELS = ("none", "priority", "stop")
NEAR, FAR = 17.0, 12.0
"""A sign this many pixels high must be seen, one smaller than FAR must not; between: either."""


def pictures(frames: int, seed: int):
    """``frames`` RGB pictures with their classes, as many of each, on fresh tracks."""
    rng = np.random.default_rng(seed)
    images: list[np.ndarray] = []
    classes: list[int] = []
    while len(images) < frames:
        track = Track.generate(int(rng.integers(1 << 30)), float(rng.uniform(0, 0.6)))
        kind = ("priority", "stop")[int(rng.integers(2))]
        lateral = -track.width / 2 - float(rng.uniform(0.09, 0.2))
        sign = Sign(float(rng.uniform(0, track.length)), kind, lateral)
        world = World(track.with_sign(sign))
        (board,) = world.track.billboards
        wanted = {LABELS.index(kind): 40, 0: 40}
        for _ in range(1500):
            if not any(wanted.values()):
                break
            # Where it matters: coming up to the sign, standing before it, going past.
            back = rng.uniform(0.3, 1.4) if rng.random() < 0.7 else rng.uniform(-1, 6)
            world.place(sign.s - back, float(rng.normal(0, 0.05)), float(rng.normal(0, 0.12)))
            world.time_ns = int(rng.integers(1 << 40))
            ahead = world.point(world.mount.ahead_m)
            seen = board.seen(world.mount, *ahead, world.heading)
            found = visible(world, seen)
            if found is None:
                continue
            label = LABELS.index(kind) if found and back > 0 else 0
            if wanted.get(label, 0):
                wanted[label] -= 1
                images.append(world.render())
                classes.append(label)
    return np.stack(images[:frames]), np.array(classes[:frames])


def visible(world: World, seen: tuple[float, float, float] | None) -> bool | None:
    """Whether a sign is near and whole in the picture; None where that may be argued."""
    if seen is None:
        return False
    column, row, height = seen
    width = world.mount.width
    whole = height / 2 < column < width - height / 2 and row > height / 2
    gone = column < -height / 2 or column > width + height / 2
    if gone or height < FAR:
        return False
    return True if whole and height > NEAR else None


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "sign"
    from trainer.quiet import import_tensorflow

    import_tensorflow()
    import keras

    from trainer.networks import build_network
    from trainer.proof.quantize import SHIPPED, run_file, to_tflite

    keras.utils.set_random_seed(0)
    print("painting tracks with signs")
    images, classes = pictures(4000, seed=1)
    proof, truth = pictures(600, seed=2)
    model = build_network("compact", *images.shape[1:3], len(LABELS))
    model.compile(
        keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    shares = np.bincount(classes, minlength=len(LABELS)) / len(classes)
    weights = {index: 1 / (len(LABELS) * share) for index, share in enumerate(shares)}
    model.fit(images, classes, 64, 8, verbose=2, class_weight=weights)
    files = {kind: to_tflite(model, kind, images[:240]) for kind in SHIPPED}
    found = run_file(files["int8"], [(proof, truth)]).argmax(1)
    recall = {name: float((found[truth == i] == i).mean()) for i, name in enumerate(LABELS)}
    accuracy = float((found == truth).mean())
    print(f"on {len(proof)} pictures of other tracks: accuracy {accuracy:.3f}, recall {recall}")
    write_bundle(
        folder,
        models={kind: (content, kind) for kind, content in files.items()},
        card=(
            f"# Traffic signs\n\nSees a stop or a priority sign that stands near, on the right, "
            f"in the simulator.\nAccuracy {accuracy:.3f} on {len(proof)} pictures of tracks that "
            f"it never saw. Made by `examples/two_models/train_sign.py`.\n"
        ),
        labels=LABELS,
        width=images.shape[2],
        height=images.shape[1],
        metrics={"accuracy": accuracy, "recall": recall},
        data={"pictures": len(images), "seed": 1},
        versions={"keras": keras.__version__},
        task="classify",
    )
    print(f"bundle {folder}")


if __name__ == "__main__":
    main()
