"""The examples of general classes, run small by their READMEs' own commands."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from autcar.bundle import load_bundle

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
pytestmark = pytest.mark.timeout(400)


def run(folder, *words):
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def train(folder, *words):
    return run(folder, "-m", "autcar", "train", *words, "--force", "--output", "models/small")


def test_two_and_three_heads_are_learnt_from_folders_named_by_tuples(tmp_path):
    run(tmp_path, EXAMPLES / "two_heads/make_pictures.py", "pictures", "--forms", "--each", "2")
    said = train(
        tmp_path,
        *("pictures", "--heads", "color,perc,shape", "--size", "64x64", "--network", "factored"),
        *("--augment", "tutorial", "--epochs", "3", "--batch-size", "32"),
    )
    for head in ("color", "perc", "shape"):
        assert f"{head}_loss" in said
        assert f"{head}_accuracy" in said
    bundle = load_bundle(tmp_path / "models/small").manifest
    assert bundle.task == "classify"
    assert list(bundle.heads) == ["color", "perc", "shape"]
    assert list(bundle.heads["perc"]) == [str(value) for value in range(7, 100, 7)]
    assert len(bundle.labels) == 4 * 14 * 3
    # Colours are plain to see even after three epochs of a few pictures.
    (run_folder,) = (tmp_path / "runs").iterdir()
    history = json.loads((run_folder / "summary.json").read_text())["history"]["epochs"]
    assert history[-1]["val_color_loss"] < history[0]["val_color_loss"]
    assert (run_folder / "model.keras").is_file()


def test_star_crops_are_learnt_with_players_kept_apart(tmp_path):
    run(
        tmp_path,
        EXAMPLES / "star_classifier/make_crops.py",
        "stars",
        "--players",
        "4",
        "--each",
        "1",
    )
    kinds = {path.suffix for path in (tmp_path / "stars").glob("*/*/*")}
    assert kinds == {".png", ".jpg"}
    said = train(
        tmp_path,
        *("stars", "--size", "67x40", "--network", "star", "--split", "source"),
        *("--augment", "star", "--optimizer", "nadam", "--lr", "0.0006", "--epochs", "2"),
    )
    assert "sources kept apart: " in said
    manifest = load_bundle(tmp_path / "models/small").manifest
    assert manifest.labels == tuple(str(stars) for stars in range(123))
    assert manifest.data["parts"] == {"training": 246, "validation": 123, "test": 123}
