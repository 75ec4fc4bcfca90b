import argparse
import itertools
import json
import shutil
import subprocess
import sys

import pytest

from autcar.bundle import load_bundle
from autcar.commands import CLASSES
from autcar.errors import AutcarError, BundleError, ConfigError, DataNotFoundError, ParityError
from autcar.interpreter import Interpreter
from trainer.cli import add_verbs
from trainer.data.dataset import load_dataset
from trainer.data.sample_list import count_learned
from trainer.data.split import make_split
from trainer.learning.distillation import load_teachers

pytest.importorskip("keras")

QUICK = ["--size", "64x48", "--augment", "none", "--batch-size", "16"]


def autcar(*words):
    parser = argparse.ArgumentParser()
    add_verbs(parser.add_subparsers())
    arguments = parser.parse_args([str(word) for word in words])
    return arguments.run(arguments)


@pytest.fixture
def recordings(make_session):
    make_session("one", 240)
    return make_session("two", 240, first=240).parent


def train(recordings, folder, *more, name="mine"):
    return autcar(
        "train", recordings, "--output", folder / name, "--run-dir", folder / "runs", *QUICK, *more
    )


def test_one_command_makes_a_bundle_that_answers_and_a_run_that_explains(
    recordings, make_session, tmp_path, capsys, monkeypatch
):
    asked = ("--learning-rate", 0.005, "--seed", 2, "--test", 0.2, "--tensorboard")
    code = train(recordings, tmp_path, "--epochs", 8, *asked)
    printed = capsys.readouterr().out
    bundle = load_bundle(tmp_path / "mine")
    bundle.check_fits(64, 48)
    metrics = bundle.manifest.metrics
    assert metrics["test"]["accuracy"] > 0.8 > metrics["test"]["baseline_accuracy"]
    assert metrics["parity"]["float32"]["agreement"] == 1
    assert code == 0
    assert all(row["holds"] for row in metrics["parity"].values())
    assert bundle.manifest.data["parts"]["test"] == metrics["test"]["frames"]
    assert Interpreter(bundle.path(bundle.variant("int8"))).input_quantization == (1.0, 0)
    assert "autcar drive --bundle" in printed
    assert "epoch  1 of 8" in printed

    (run,) = (tmp_path / "runs").iterdir()
    names = {path.name for path in run.iterdir()}
    assert names == {
        "classes.png", "confusion.png", "frames.png", "history.png",
        "checkpoint.npz", "model.keras", "run.json", "samples.tsv.gz", "summary.json",
        "tensorboard", "train.log",
    }  # fmt: skip
    summary = json.loads((run / "summary.json").read_text())
    assert summary["data"]["shares"] == {"validation": 0.15, "test": 0.2}
    assert summary["data"]["digest"] == bundle.manifest.data["digest"]
    assert len(summary["history"]["epochs"]) <= 8
    assert {p.name for p in (run / "tensorboard").iterdir()} == {"train", "validation"}
    card = (tmp_path / "mine" / "card.md").read_text()
    assert "left_light_backwards" in card
    assert "agrees with Keras" in card

    assert autcar("eval", tmp_path / "mine", recordings, "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["per_class"] == metrics["test"]["per_class"]
    assert again["steering"] == metrics["test"]["steering"]
    assert autcar("eval", tmp_path / "mine", recordings, "--split", "all") == 0
    assert "on 480 frames" in capsys.readouterr().out

    asked = []

    def load_watched(*given):
        teacher = load_teachers(*given)
        return lambda images: asked.append(images.shape) or teacher(images)

    monkeypatch.setattr("trainer.learn.load_teachers", load_watched)
    # New recordings draw the split anew: the test part holds frames that were learnt.
    longer = make_session("three", 240, first=480).parent
    begin = ("--from", run, "--epochs", 1, "--force")
    train(longer, tmp_path, *begin, name="on")
    data = load_bundle(tmp_path / "on").manifest.data
    (note,) = [note for note in data["notes"] if "whose weights this begins with" in note]
    known = count_learned(run, load_dataset(longer).subset(make_split(load_dataset(longer)).test))
    assert 0 < known < data["parts"]["test"]
    assert f"learned from {known} of the {data['parts']['test']} test frames" in note
    assert f"note: {note}" in capsys.readouterr().out
    assert f"- {note}" in (tmp_path / "on" / "card.md").read_text()
    shutil.rmtree(longer / "three")

    taught = ("--teacher", tmp_path / "mine", "--network", "star", "--epochs", 1, "--force")
    train(recordings, tmp_path, *taught, name="small")
    assert set(asked) == {(None, 48, 64, 3)}
    assert f"taught by {tmp_path / 'mine'}" in capsys.readouterr().out
    settings = json.loads((_run_of(tmp_path, "small") / "run.json").read_text())["settings"]
    assert settings["teachers"] == [str(tmp_path / "mine")]
    # Cut short before its first epoch's end, it is taught again.
    asked.clear()
    (_run_of(tmp_path, "small") / "checkpoint.npz").unlink()
    autcar("train", "--resume", _run_of(tmp_path, "small"))
    assert asked
    with pytest.raises(ConfigError, match="wanted is 12 probabilities for frames of 40×32"):
        train(recordings, tmp_path, "--teacher", run, "--size", "40x32")


def _run_of(folder, name):
    (run,) = (folder / "runs").glob(f"*_{name}")
    return run


def test_the_same_seed_makes_the_same_files_and_absent_classes_are_named(
    make_session, tmp_path, capsys
):
    folder = make_session("few", 300, lambda index: CLASSES[index % 12 // 6 + 10])
    for _ in range(2):
        train(folder, tmp_path, "--epochs", 1, "--seed", 3, "--force")
    now, before = (load_bundle(tmp_path / name).manifest.variants for name in ("mine", "mine_1"))
    assert now == before
    printed = capsys.readouterr().out
    assert "no frame of left_light_backwards" in printed
    assert f"the earlier {tmp_path / 'mine'} is now {tmp_path / 'mine_1'}" in printed
    assert "Never recorded" in (tmp_path / "mine" / "card.md").read_text()


def test_what_does_not_drive_as_it_was_trained_is_not_shipped_unless_forced(
    recordings, tmp_path, monkeypatch
):
    # Nothing agrees on more than all frames.
    monkeypatch.setattr("trainer.proof.quantize.MIN_AGREEMENT", 1.01)
    with pytest.raises(
        ParityError, match=r"(?s)no bundle was written: int8 and float16.*noise added"
    ):
        train(recordings, tmp_path, "--epochs", 1, "--variants", "int8,float16")
    assert not (tmp_path / "mine").exists()
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "model.keras").is_file()
    assert json.loads((run / "summary.json").read_text())["metrics"]["forced"] == []
    # What was trained is not trained again.
    before = (run / "checkpoint.npz").read_bytes()
    assert autcar("train", "--resume", run, "--variants", "float16", "--force") == 0
    assert (run / "checkpoint.npz").read_bytes() == before
    manifest = load_bundle(tmp_path / "mine").manifest
    assert [variant.quantization for variant in manifest.variants] == ["float16"]
    assert manifest.metrics["forced"] == ["float16"]
    assert "It was shipped all the same" in (tmp_path / "mine" / "card.md").read_text()


def test_wrong_input_is_refused_before_training(recordings, make_session, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").touch()
    with pytest.raises(BundleError, match="name another --output"):
        train(recordings, tmp_path, name="taken")
    with pytest.raises(DataNotFoundError):
        train(tmp_path / "nowhere", tmp_path)
    with pytest.raises(ConfigError, match="did you mean --network pilotnet"):
        train(recordings, tmp_path, "--network", "pilotnett")
    with pytest.raises(AutcarError, match="one class"):
        train(make_session("dull", 60, lambda _: CLASSES[0]), tmp_path)
    with pytest.raises(ConfigError, match="'int4' is none of int8"):
        train(recordings, tmp_path, "--variants", "int4")
    with pytest.raises(AutcarError, match="light"):
        train(recordings, tmp_path, "--augment", "wild")
    with pytest.raises(DataNotFoundError, match="autcar train"):
        autcar("eval", tmp_path / "none", recordings)
    assert not (tmp_path / "mine").exists()
    assert not (tmp_path / "runs").exists()


def test_what_is_plainly_wrong_is_said_before_tensorflow_loads(monkeypatch, recordings, tmp_path):
    monkeypatch.setattr("trainer.quiet.import_tensorflow", lambda: pytest.fail("it was loaded"))
    with pytest.raises(ConfigError, match="network 'alexnet' is not one of compact"):
        train(recordings, tmp_path, "--network", "alexnet")
    (tmp_path / "notes").touch()
    with pytest.raises(BundleError, match="notes is there and is no bundle"):
        train(recordings, tmp_path, name="notes")
    for option, more in itertools.product(("--from", "--teacher"), ((), ("--auto",))):
        with pytest.raises(DataNotFoundError, match=r"no .*lost/model\.keras; give the"):
            train(recordings, tmp_path, option, tmp_path / "runs" / "lost", *more)


def test_verbs_and_help_are_light():
    script = (
        "import sys, argparse; from trainer.cli import add_verbs\n"
        "parser = argparse.ArgumentParser(); add_verbs(parser.add_subparsers())\n"
        "heavy = {'numpy', 'cv2', 'tensorflow', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "parser.parse_args(['train', '--help'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "examples:" in done.stdout
