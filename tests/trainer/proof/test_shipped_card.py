"""What the card of the shipped driving bundle claims, looked at again in short."""

import shutil

import pytest

from autcar.bundle import load_bundle, shipped_bundle
from autcar.commands import LABELS
from autcar.config import Config, SimulatorSection
from autcar.progress import Progress
from capture.simulated import record_expert
from trainer.proof.closed_loop import drive_bundle, prove_driving
from trainer.proof.evaluate_bundle import answer_frames, select_frames


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(shipped_bundle())


@pytest.fixture(scope="module")
def frames(bundle, tmp_path_factory):
    """Drives on tracks that training never saw, from easy to hard as those that it saw."""
    folder = tmp_path_factory.mktemp("unseen")
    for number, difficulty in enumerate((0.0, 0.5, 1.0)):
        config = Config(simulator=SimulatorSection(difficulty=difficulty))
        record_expert(config, folder, 201 + number, 250, Progress())
    return select_frames(bundle, [folder], split="all")


def test_the_card_says_what_the_manifest_holds(bundle):
    card = (bundle.folder / "card.md").read_text(encoding="utf-8")
    metrics = bundle.manifest.metrics
    test, loop = metrics["test"], metrics["closed_loop"]
    assert f"| balanced accuracy (mean recall) | {test['balanced_accuracy']:.3f} |" in card
    assert f"| … of always `{test['baseline_label']}` | {test['baseline_accuracy']:.3f} |" in card
    for label, row in test["per_class"].items():
        assert f"| `{label}` |" in card
        assert f"| {row['recall']:.2f} | {row['precision']:.2f} |" in card
    for kind, row in metrics["parity"].items():
        assert f"| `{kind}.tflite` | {row['agreement']:.1%} |" in card
        assert row["agreement"] >= 0.98
    assert f"{loop['metres_between']:.1f} m between failures" in card
    assert card.count("## Behind the wheel") == card.count("## Limits") == 1


def test_it_is_as_right_on_new_tracks_as_its_card_says(bundle, frames):
    claimed = bundle.manifest.metrics["test"]
    answers = answer_frames(bundle, frames)
    found = answers.evaluation
    # 750 frames in rows of near twins: 0.1 is about twice the spread between such samples.
    assert found.accuracy == pytest.approx(claimed["accuracy"], abs=0.1)
    assert found.accuracy > found.baseline_accuracy + 0.1
    assert answers.steering.within_one >= claimed["steering"]["within_one"] - 0.05
    other = answer_frames(bundle, frames, variant="float32")
    agreement = (other.scores.argmax(1) == answers.scores.argmax(1)).mean()
    assert agreement >= 0.97


def test_it_drives_as_far_as_its_card_says(bundle):
    claimed = bundle.manifest.metrics["closed_loop"]
    assert claimed["tracks"] >= 16
    assert claimed["metres_between"] >= 5 * claimed["straight_metres_between"]
    drives = drive_bundle(
        bundle, tracks=3, seconds=claimed["seconds"], difficulty=claimed["difficulty"]
    )
    for found, told in zip(drives, claimed["drives"], strict=False):
        assert found.failure == told["failure"]
        # Another processor's kernels round otherwise, and a drive may then differ a little.
        assert found.metres == pytest.approx(told["metres"], rel=0.1)


def test_proof_is_written_beside_what_the_card_says(bundle, tmp_path):
    copy = load_bundle(shutil.copytree(bundle.folder, tmp_path / "copy"))
    first = prove_driving(copy, tracks=1, seconds=2.0)
    again = prove_driving(first, tracks=2, seconds=1.0)
    assert load_bundle(copy.folder) == again
    assert again.manifest.variants == bundle.manifest.variants
    assert again.manifest.labels == LABELS
    assert again.manifest.metrics["test"] == bundle.manifest.metrics["test"]
    card = (copy.folder / "card.md").read_text(encoding="utf-8")
    assert card.count("## Behind the wheel") == card.count("## Limits") == 1
    assert "1 s at most on each of 2 simulated tracks" in card
