"""Choosing the default network: how fast each of a family is, and how well it drives.

    python benchmarks/network_search.py measure            MACs, size, ms in every runtime
    python benchmarks/network_search.py train --seeds 0    tub and simulator, each network once
    python benchmarks/network_search.py train autcar compact --seeds 0 1 2 --models FOLDER
    python benchmarks/network_search.py train compact --models FOLDER --teacher autcar
    python benchmarks/network_search.py draw               the table and the picture

What is found is kept in ``benchmarks/network_search.json``, so each step can be stopped and
gone on with; a network that was trained on the same data with the same seed and augmentation,
and driven on as many tracks, is not trained again. Accuracy on the tub is of the int8 file on
its last 15 % of time, which training never saw; metres between failures are driven on unseen
simulated tracks of difficulty 1.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from chart import BLUE, GREY, ORANGE
from network_family import FAMILY, macs
from peers.environments import tflite_python

if TYPE_CHECKING:
    from autcar.progress import Progress
    from trainer.data.dataset import Dataset
    from trainer.pipeline import Result

RESULTS = HERE / "network_search.json"
PICTURE = HERE.parent / "docs/pictures/networks.svg"
TUB = HERE.parents[1] / "shared/data/tub_formula_usi"
AUTCAR_CNN, CHOSEN = "autcar", "compact"
HEIGHT, WIDTH, CLASSES = 168, 224, 12

EPOCHS = 12
AUGMENT = "default"
EVERY = 3
"""Of a tub's frames, one in so many is used: at 20 Hz neighbours are near twins."""
TRACKS, FRAMES_EACH = 20, 300
UNSEEN, SECONDS = 200, 30.0
CONDITIONS: dict[str, dict[str, Any]] = {
    "tub": {"augment": AUGMENT, "epochs": EPOCHS},
    "simulator": {"augment": AUGMENT, "epochs": EPOCHS, "tracks": UNSEEN},
}
"""What results stand beside: those of other conditions are kept, and not compared."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    steps = parser.add_subparsers(dest="step", required=True)
    measure = steps.add_parser("measure")
    measure.add_argument("--rounds", type=int, default=15, help="of timing (15)")
    train = steps.add_parser("train")
    train.add_argument("names", nargs="*", metavar="NETWORK", help="default: the whole family")
    train.add_argument("--seeds", type=int, nargs="+", default=[0], help="of training (0)")
    train.add_argument("--data", choices=["tub", "simulator"], help="only this one")
    train.add_argument("--models", type=Path, metavar="FOLDER", help="keep what is trained here")
    train.add_argument(
        "--teacher",
        metavar="NETWORK",
        help="let this one teach: all of FOLDER that learned on the same data, of any seed",
    )
    train.add_argument("--tub", type=Path, default=TUB, help=f"a tub ({TUB})")
    show = steps.add_parser("draw")
    show.add_argument("--picture", type=Path, default=PICTURE, help=f"({PICTURE})")
    arguments = parser.parse_args()
    if arguments.step == "train" and arguments.teacher and arguments.models is None:
        parser.error("--teacher wants --models: the folder where the teacher was kept")
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    if arguments.step == "measure":
        measure_all(found, arguments.rounds)
    elif arguments.step == "train":
        train_all(found, arguments)
    else:
        print(table(found))
        draw(found, arguments.picture)
    return 0


def build(name: str) -> Any:
    """The untrained network called ``name``, of the family or built in."""
    from trainer.networks import build_network

    height, width = frame_size(name)
    if name in FAMILY:
        return FAMILY[name].build(height, width, CLASSES)
    return build_network(name, height, width, CLASSES)


def frame_size(name: str) -> tuple[int, int]:
    """Height and width of the frames that the network called ``name`` takes."""
    halves = 2 if name in FAMILY and FAMILY[name].halved else 1
    return HEIGHT // halves, WIDTH // halves


def taught_by(name: str, teacher: str | None) -> str:
    """What a network is called in the results."""
    return f"{name}, taught by {teacher}" if teacher else name


def names() -> list[str]:
    return [*FAMILY, AUTCAR_CNN, "pilotnet"]


def save(found: dict[str, Any]) -> None:
    from autcar.files import write_atomic

    write_atomic(RESULTS, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def measure_all(found: dict[str, Any], rounds: int) -> None:
    """Convert every network untrained, and time all files in turn in each runtime."""
    import numpy as np

    from trainer.quiet import import_tensorflow

    import_tensorflow()
    from trainer.proof.quantize import KINDS, to_tflite

    noise = np.random.default_rng(0).integers(0, 256, (16, HEIGHT, WIDTH, 3), np.uint8)
    files: dict[str, tuple[str, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(names()):
            model, (height, width) = build(name), frame_size(name)
            facts = {"mmac": round(macs(model) / 1e6, 2), "parameters": model.count_params()}
            for kind in KINDS:
                path = Path(folder) / f"{number}.{kind}.tflite"
                path.write_bytes(to_tflite(model, kind, noise[:, :height, :width]))
                facts[f"{kind}_kb"] = round(path.stat().st_size / 1000, 1)
                files[str(path)] = name, kind
            found.setdefault(name, {}).update(facts)
            print(f"{name:<26}{facts}", flush=True)
        for python in (sys.executable, tflite_python()):
            if python is None:
                continue
            command = [python, str(HERE / "peers/time_models.py"), str(rounds), "60", "1", *files]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            timed = json.loads(done.stdout.splitlines()[-1])
            for row in timed["rows"]:
                name, kind = files[row["file"]]
                figures = [row["cpu_ms"], row["cpu_mad_ms"]]
                found[name].setdefault("ms", {})[f"{timed['runtime']} {kind}"] = figures
    for title, row in found.items():
        # One that was taught computes as much as one that was not.
        name, taught, _ = title.partition(", taught by ")
        if taught:
            found[title] = found[name] | {"runs": row["runs"]}
    save(found)
    print(table(found))


def train_all(found: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Train each network on each data with each seed, unless that was done before."""
    from autcar.progress import LineProgress
    from trainer.quiet import import_tensorflow

    import_tensorflow()
    progress = LineProgress()
    with tempfile.TemporaryDirectory() as scratch:
        given = Path(scratch), progress, arguments.models, arguments.teacher
        learners = {
            "simulator": SimulatorLearner(*given),
            "tub": TubLearner(*given, tub=arguments.tub),
        }
        for name, seed, kind in itertools.product(
            arguments.names or FAMILY, arguments.seeds, learners
        ):
            key = f"{kind}, seed {seed}"
            title = taught_by(name, arguments.teacher)
            before = found.get(title, {}).get("runs", {}).get(key, {})
            if arguments.data not in (None, kind):
                continue
            learner = learners[kind]
            conditions = CONDITIONS[kind] | learner.taught()
            if conditions.items() <= before.items():
                continue
            progress.say(f"== {title}, {key}")
            result = conditions | learner.learn(name, seed)
            progress.say(f"{title}, {key}: {result}")
            facts = {fact: value for fact, value in found.get(name, {}).items() if fact != "runs"}
            found.setdefault(title, facts).setdefault("runs", {})[key] = result
            save(found)


class Learner:
    """Trains networks on one set of data, each by the usual recipe but for fewer epochs."""

    kind: str
    order: Literal["blocks", "last"] = "blocks"

    def __init__(
        self, folder: Path, progress: Progress, models: Path | None, teacher: str | None
    ) -> None:
        self.folder, self.progress = folder, progress
        self.models, self.teacher = models, teacher

    @cached_property
    def dataset(self) -> Dataset:
        """What is learned from."""
        raise NotImplementedError

    def fit(self, name: str, seed: int) -> Result:
        """Train a network from first weights drawn by ``seed``."""
        from trainer.data.split import split_by_time
        from trainer.learning.training import Schedule, seed_everything
        from trainer.learning.warm_start import MODEL
        from trainer.pipeline import Settings, train_on

        schedule = Schedule(epochs=EPOCHS)
        output = self.folder / "bundle"
        # Whether int8 keeps up with Keras is one of the results here, and no reason to stop.
        height, width = frame_size(name)
        settings = Settings(
            data=(),
            output=output,
            width=width,
            height=height,
            schedule=schedule,
            seed=seed,
            runs=None,
            force=True,
            variants=("int8",),
            augment=AUGMENT,
            teachers=self.teachers(),
        )
        split = split_by_time(self.dataset, order=self.order, seed=0)
        seed_everything(seed)
        model = build(name)
        result = train_on(self.dataset, split, settings, self.progress, model=model)
        if self.models is not None:
            folder = self.kept(taught_by(name, self.teacher), seed)
            folder.mkdir(parents=True, exist_ok=True)
            model.save(folder / MODEL)
        return result

    def teachers(self) -> tuple[str, ...]:
        """The folders of the teacher as it learned on this data, from whichever seed."""
        if self.teacher is None or self.models is None:
            return ()
        found = sorted(self.models.glob(f"{self.teacher}, {self.kind}, seed *"))
        if not found:
            sys.exit(f"{self.models} holds no {self.teacher} of the {self.kind}; train it first")
        return tuple(map(str, found))

    def taught(self) -> dict[str, int]:
        """One more condition of networks that are taught."""
        return {"teachers": len(self.teachers())} if self.teacher else {}

    def kept(self, title: str, seed: int) -> Path:
        """The folder of a trained network, as a run would have it."""
        assert self.models is not None
        return self.models / f"{title}, {self.kind}, seed {seed}"


class TubLearner(Learner):
    """A tub's forward frames; how the int8 file steers on the last 15 % of time."""

    kind, order = "tub", "last"

    def __init__(self, *given: Any, tub: Path) -> None:
        super().__init__(*given)
        self.tub = tub

    @cached_property
    def dataset(self) -> Dataset:
        """Forward frames, every :data:`EVERY`-th."""
        import numpy as np

        from trainer.data.dataset import load_dataset
        from trainer.proof.evaluation import STEERING_OF

        dataset = load_dataset(self.tub, include_deleted=True)
        forward = np.flatnonzero(STEERING_OF[dataset.labels] >= 0)
        return dataset.subset(forward[::EVERY])

    def learn(self, name: str, seed: int) -> dict[str, float]:
        """Train a network, and say how the int8 file steers on what came last."""
        result = self.fit(name, seed)
        steering = result.steering
        assert steering is not None
        return {
            "frames": steering.frames,
            "accuracy": round(steering.accuracy, 4),
            "balanced_accuracy": round(steering.balanced_accuracy, 4),
            "within_one": round(steering.within_one, 4),
            "int8_agreement": round(result.parity["int8"].agreement, 4),
        }


class SimulatorLearner(Learner):
    """The expert's drives; how far the int8 file drives on unseen tracks until it fails."""

    kind = "simulator"

    @cached_property
    def dataset(self) -> Dataset:
        """Drives on tracks from easy to hard."""
        from autcar.config import Config, SimulatorSection
        from capture.simulated import record_expert
        from trainer.data.dataset import load_dataset

        recordings = self.folder / "recordings"
        for track in range(TRACKS):
            config = Config(simulator=SimulatorSection(difficulty=track / (TRACKS - 1)))
            record_expert(config, recordings, 1 + track, FRAMES_EACH, self.progress)
        return load_dataset(recordings)

    def learn(self, name: str, seed: int) -> dict[str, float]:
        """Train a network, and drive unseen tracks with its int8 file."""
        from autcar.config import CameraSection, Config, SimulatorSection
        from autcar.simulator.unseen import Measure, drive_unseen
        from edge.pilots import BundlePilot

        result = self.fit(name, seed)
        height, width = frame_size(name)
        config = Config(
            camera=CameraSection(width=width, height=height),
            simulator=SimulatorSection(difficulty=1.0),
        )
        pilot = BundlePilot(result.bundle, "int8")
        drives = drive_unseen(
            config, pilot.scores, tracks=UNSEEN, seconds=SECONDS, progress=self.progress
        )
        measure = Measure.of(drives)
        return {
            "balanced_accuracy": round(result.evaluation.balanced_accuracy, 4),
            "metres": round(measure.metres, 1),
            "failures": measure.failures,
            "metres_between": round(measure.metres_between, 1),
            "clean_tracks": measure.clean_tracks,
            "int8_agreement": round(result.parity["int8"].agreement, 4),
        }


def table(found: dict[str, Any]) -> str:
    """Every network, the fastest first: work, size, ms by runtime, and how it drives."""
    columns = ("LiteRT int8", "LiteRT float32", "tflite-runtime int8", "tflite-runtime float32")
    heads = ("LiteRT i8", "f32", "2.14 i8", "f32")
    lines = [
        f"{'':<24}{'MMAC':>7}{'par. k':>8}"
        + "".join(f"{head:>10}" for head in heads)
        + f"{'tub balanced':>23}{'m between failures':>22}"
    ]
    for name, row in sorted(timed(found).items(), key=lambda item: fastest_ms(item[1])):
        times = [
            f"{row['ms'][column][0]:.3f}" if column in row["ms"] else "" for column in columns
        ]
        lines.append(
            f"{name:<24}{row['mmac']:>7.1f}{row['parameters'] / 1e3:>8.0f}"
            + "".join(f"{text:>10}" for text in times)
            + f"{_spread(row, 'tub', 'balanced_accuracy', '.3f'):>23}"
            + f"{_spread(row, 'simulator', 'metres_between', '.0f'):>22}"
        )
    return "\n".join(lines)


def timed(found: dict[str, Any]) -> dict[str, Any]:
    """What was measured; a network may have been trained before."""
    return {name: row for name, row in found.items() if "ms" in row}


def fastest_ms(row: dict[str, Any]) -> float:
    """One inference with the fastest file in the fastest runtime."""
    return min(median for median, _ in row["ms"].values())


def runs_of(row: dict[str, Any], kind: str, figure: str) -> list[float]:
    """A figure of each training on one kind of data under today's conditions, one a seed."""
    conditions = CONDITIONS[kind].items()
    runs = row.get("runs", {}).items()
    return [run[figure] for key, run in runs if key.startswith(kind) and conditions <= run.items()]


def overall(row: dict[str, Any], kind: str, figure: str) -> float | None:
    """A figure of all trainings on one kind of data together, None where there was none.

    Of metres between failures all metres by all failures: a mean would give a seed without
    a failure no more than the metres that it was let drive. Of others the mean.
    """
    values = runs_of(row, kind, figure)
    if not values:
        return None
    if figure == "metres_between":
        failures = sum(runs_of(row, kind, "failures"))
        return sum(runs_of(row, kind, "metres")) / max(failures, 1)
    return sum(values) / len(values)


def _spread(row: dict[str, Any], kind: str, figure: str, form: str) -> str:
    together, values = overall(row, kind, figure), runs_of(row, kind, figure)
    if together is None:
        return "–"
    said = f"{together:{form}}"
    if len(values) == 1 or not min(values) <= together <= max(values):
        return said
    return f"{said} ({min(values):{form}}–{max(values):{form}})"


PANELS = (
    ("tub", "balanced_accuracy", "balanced accuracy on a real tub", 0.4),
    ("simulator", "metres_between", "metres between failures, simulator", 0.0),
)
TICKS = [0.05, 0.1, 0.2, 0.5, 1, 2], ["0.05", "0.1", "0.2", "0.5", "1", "2"]


def draw(found: dict[str, Any], picture: Path) -> None:
    """Work against time for every network, then time against driving for those trained."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    found = timed(found)
    mpl.rcParams |= {"svg.hashsalt": "autcar", "font.size": 9}
    figure, (work, *driving) = pyplot.subplots(1, 3, figsize=(14, 4.6), layout="constrained")
    draw_work(work, found)
    for axes, (kind, figure_name, title, lowest) in zip(driving, PANELS, strict=True):
        draw_driving(axes, found, kind, figure_name, lowest)
        axes.set_title(title, fontsize=10, loc="left")
    for axes in (work, *driving):
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, metadata={"Date": None} if picture.suffix == ".svg" else None)
    pyplot.close(figure)
    print(f"picture: {picture}")


FILES = {
    "LiteRT int8": ("o", BLUE),
    "LiteRT float32": ("^", ORANGE),
    "tflite-runtime float32": ("x", GREY),
}
"""What is drawn of each network; tflite-runtime's int8 is far slower and left out."""


def draw_work(axes: Any, found: dict[str, Any]) -> None:
    """Multiplications against measured ms; what lies low and to the left is good."""
    for file, (marker, color) in FILES.items():
        points = [(row["mmac"], row["ms"][file][0]) for row in found.values() if file in row["ms"]]
        axes.plot(*zip(*points, strict=True), marker, color=color, markersize=5, label=file)
    for name, said in ((CHOSEN, f"{CHOSEN} (the default)"), (AUTCAR_CNN, "AutCar's CNN")):
        place = found[name]["mmac"], fastest_ms(found[name])
        axes.annotate(
            *(said, place, (-10, -26)),
            textcoords="offset points",
            ha="right" if name == AUTCAR_CNN else "left",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "color": GREY},
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
    axes.set_yticks(*TICKS)
    axes.set_ylim(0.05, 4)
    axes.set_xlabel("million multiplications a frame")
    axes.set_title("ms a frame, 1 thread", fontsize=10, loc="left")
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def draw_driving(axes: Any, found: dict[str, Any], kind: str, figure: str, lowest: float) -> None:
    """Fastest time against driving. A mark is all seeds together, a line the range of a mean.

    Networks that were timed only are ticks at the foot.
    """
    below = itertools.cycle((-11, -36, -11, -23))
    for name, row in found.items():
        place, values = fastest_ms(row), runs_of(row, kind, figure)
        together = overall(row, kind, figure)
        if together is None:
            axes.plot(place, 0.02, "|", color=GREY, transform=axes.get_xaxis_transform())
            continue
        marker, color = {CHOSEN: ("*", BLUE), AUTCAR_CNN: ("s", ORANGE)}.get(name, ("o", GREY))
        if min(values) <= together <= max(values):
            axes.plot([place] * 2, [min(values), max(values)], color=color, linewidth=1.5)
        axes.plot(place, together, marker, color=color, markersize=13 if marker == "*" else 6)
        said = {CHOSEN: f"{name} (the default)", AUTCAR_CNN: "AutCar's CNN"}.get(name, name)
        seeds = f"{len(values)} seeds" if len(values) > 1 else "1 seed"
        offset = (7, 5 if name.startswith(CHOSEN) else next(below))
        axes.annotate(
            *(f"{said}, {seeds}", (place, together), offset),
            textcoords="offset points",
            fontsize=8,
        )
    axes.set_xscale("log")
    axes.set_xticks(*TICKS)
    axes.set_xlim(0.06, 2.8)
    axes.set_ylim(bottom=lowest)
    axes.set_ylim(top=axes.get_ylim()[1] + 0.15 * (axes.get_ylim()[1] - lowest))
    axes.set_xlabel("ms a frame, fastest file and runtime")


if __name__ == "__main__":
    sys.exit(main())
