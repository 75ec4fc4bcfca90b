import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from autcar.bundle import load_bundle
from autcar.errors import ConfigError, DataError
from autcar.images import write_png
from autcar.interpreter import Interpreter
from autcar.progress import Progress
from tests.trainer.people import scene, write_people
from tests.trainer.test_train_cli import autcar
from trainer.follow.evaluate import evaluate_follow
from trainer.follow.pipeline import MAX_IOU_LOSS, SCHEDULE, FollowSettings, iou_loss, train_follow

pytest.importorskip("keras")


class Lines(Progress):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "people"
    write_people(folder / "train", 40)
    write_people(folder / "validation", 16)
    return folder


@pytest.fixture(scope="module")
def trained(people, tmp_path_factory):
    """What a short training makes: its result, what it said, and where."""
    folder = tmp_path_factory.mktemp("trained")
    lines = Lines()
    settings = FollowSettings(
        (people,),
        folder / "hero",
        crop=48,
        steps=16,
        batch_size=8,
        schedule=replace(SCHEDULE, epochs=6, learning_rate=1e-2),
        runs=folder / "runs",
    )
    return train_follow(settings, lines), lines.lines, folder


def test_training_makes_a_bundle_that_finds_the_hero(trained):
    result, said, _ = trained
    manifest = result.bundle.manifest
    assert manifest.task == "follow"
    assert manifest.labels == ("background", "people", "hero")
    assert (manifest.width, manifest.height) == (64, 64)
    assert result.found["int8"].score > 0.5
    assert result.found["int8"].whole.images == 16
    assert iou_loss(result.keras, result.found["float32"]) < 1e-3
    assert result.proven == (iou_loss(result.keras, result.found["int8"]) <= MAX_IOU_LOSS)
    assert any("16 held out" in line for line in said)


def test_the_int8_file_takes_raw_pixels_and_answers_for_each(trained):
    bundle = trained[0].bundle
    interpreter = Interpreter(bundle.path(bundle.variant("int8")))
    assert interpreter.input_quantization == (1.0, 0)
    scores = interpreter.run(scene(100, height=20)[0])
    assert scores.shape == (64, 64, 3)
    np.testing.assert_allclose(scores.sum(axis=2), 1, atol=0.02)


def test_the_run_and_the_card_tell_how_it_went(trained):
    result, _, folder = trained
    (run,) = (folder / "runs").iterdir()
    assert {path.name for path in run.iterdir()} == {
        "answers.png", "history.png", "model.keras", "summary.json", "train.log",
    }  # fmt: skip
    summary = json.loads((run / "summary.json").read_text())
    assert summary["metrics"]["test"] == result.found["int8"].as_dict()
    card = (folder / "hero" / "card.md").read_text()
    assert f"score **{result.found['int8'].score:.3f}**" in card


def test_eval_scores_the_part_held_out_by_default(trained, people, tmp_path, capsys):
    result, _, folder = trained
    assert autcar("eval", folder / "hero", people, "--report", tmp_path) == 0
    printed = capsys.readouterr().out
    assert f"score {result.found['int8'].score:.3f}" in printed
    assert (tmp_path / "answers.png").is_file()
    assert autcar("eval", folder / "hero", people, "--variant", "float32", "--json") == 0
    assert json.loads(capsys.readouterr().out)["score"] == result.found["float32"].score


def test_eval_holds_out_what_training_did_of_images_without_parts(tmp_path, capsys):
    people = write_people(tmp_path / "people", 40)
    how = ["--validation", 0.3, "--seed", 3]
    words = ["--epochs", 1, "--steps", 2, "--batch-size", 4, "--size", "32x32"]
    hero = tmp_path / "hero"
    autcar("train", people, "--output", hero, "--run-dir", tmp_path / "runs", *words, *how)
    manifest = load_bundle(hero).manifest
    held_out = manifest.data["parts"]["validation"]
    assert 8 <= held_out <= 16

    def scored(*more):
        capsys.readouterr()
        assert autcar("eval", hero, people, "--json", *more) == 0
        return json.loads(capsys.readouterr().out)

    assert scored() == scored(*how) == manifest.metrics["test"]
    assert scored("--validation", 0.15)["whole"]["images"] < held_out
    assert scored("--split", "all")["whole"]["images"] == 40
    with pytest.raises(DataError, match="holds out none of 40 images; raise --validation"):
        autcar("eval", hero, people, "--validation", 0)
    for option in (["--test", 0.3], ["--tracks", 2], ["--include-deleted"]):
        with pytest.raises(ConfigError, match=f"{option[0]} does nothing here"):
            autcar("eval", hero, people, *option)
    lines = Lines()
    evaluate_follow(load_bundle(hero), [people], progress=lines)
    assert not any("note: these are not exactly" in line for line in lines.lines)
    other = write_people(tmp_path / "others", 41)
    evaluate_follow(load_bundle(hero), [other], progress=lines)
    assert any("on images that it never saw, say --split all" in line for line in lines.lines)


def test_eval_takes_the_projects_three_folders_at_their_word(trained, tmp_path):
    root = tmp_path / "evaluation"
    write_people(root / "following_images", 3, hero=True, height=20)
    write_people(root / "patrol_non_targ", 4, hero=False)
    write_people(root / "patrol_with_targ", 5, hero=True, height=20)
    found = evaluate_follow(trained[0].bundle, [root], split="all")
    images = {name: subset.images for name, subset in found.subsets.items()}
    assert images == {"close": 3, "none": 4, "far": 5}


def test_a_bundle_for_another_task_is_refused(trained, people):
    bundle = trained[0].bundle
    driving = replace(bundle, manifest=replace(bundle.manifest, task="drive"))
    with pytest.raises(ConfigError, match="was trained to drive, not to follow"):
        evaluate_follow(driving, [people])


def test_masks_that_cannot_be_used_are_told_and_left_out(trained, people, tmp_path):
    shutil.copytree(people / "validation", tmp_path / "data")
    write_png(tmp_path / "data/masks/run1_mask_00000.png", np.full((64, 64, 3), 77, np.uint8))
    write_png(tmp_path / "data/masks/run1_mask_00001.png", scene(1, size=48)[1])
    lines = Lines()
    found = evaluate_follow(trained[0].bundle, [tmp_path / "data"], split="all", progress=lines)
    assert found.whole.images == 14
    said = "\n".join(lines.lines)
    assert "2 images left out" in said
    assert "no known colour" in said
    assert "is 48×48" in said


def test_one_command_trains_on_masks_without_being_told(people, tmp_path, capsys):
    words = ["--epochs", 1, "--steps", 2, "--batch-size", 4, "--size", "32x32"]
    output = tmp_path / "hero"
    autcar("train", people, "--output", output, "--run-dir", tmp_path / "runs", *words)
    assert load_bundle(output).manifest.task == "follow"
    assert "hero IoU, mean of close and far" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "50x64"], "multiples of 16, not 50×64; say --size 48x64"),
        (["--network", "folow"], "did you mean --network follow"),
        (["--auto"], "--auto does nothing here: it is not for images with masks"),
        (["--from", "runs/one"], "--from does nothing here"),
        (["--teacher", "runs/one"], "--teacher does nothing here"),
        (["--test", "0.3"], "--test does nothing here"),
        (["--augment", "none"], "--augment does nothing here"),
        (["--variants", "float32"], "--variants does nothing here"),
        (["--patience", "5"], "--patience does nothing here: with masks all epochs are done"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(people, tmp_path, words, message):
    with pytest.raises(ConfigError, match=message):
        autcar("train", people, "--output", tmp_path / "hero", *words)
    assert not (tmp_path / "hero").exists()


def test_recordings_have_no_masks_to_follow(make_session, tmp_path):
    with pytest.raises(DataError, match="no masks; to follow, give a folder"):
        autcar("train", make_session("one", 24), "--task", "follow", "--output", tmp_path / "x")


def test_masks_do_not_teach_to_drive(people, tmp_path):
    told = rf"{people}: images with masks teach to follow.* `autcar train {people}`, without"
    with pytest.raises(ConfigError, match=told):
        autcar("train", people, "--task", "drive", "--output", tmp_path / "x")
    pytest.importorskip("optuna")
    words = ("--study", tmp_path / "s.journal", "--trials", 1, "--trial-epochs", 1)
    with pytest.raises(ConfigError, match=told):
        autcar("sweep", people, *words, "--output", tmp_path / "x")
