import argparse
import json
import shutil

import cv2
import numpy as np
import pytest

from autcar.bundle import load_bundle, shipped_bundle
from autcar.commands import CLASSES, LABELS
from autcar.errors import AutcarError, BundleError, DataError
from autcar.images import read_image
from autcar.progress import Progress
from trainer.cli import add_verbs
from trainer.data.dataset import load_dataset
from trainer.data.split import make_split
from trainer.proof.evaluate_bundle import answer_frames, bundle_heads, select_frames
from trainer.report.evaluation_report import worst_mistakes

pytest.importorskip("matplotlib")


def autcar(*words):
    parser = argparse.ArgumentParser()
    add_verbs(parser.add_subparsers())
    arguments = parser.parse_args([str(word) for word in words])
    return arguments.run(arguments)


class Lines(Progress):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def edited(folder, **changes):
    """A copy of the shipped bundle with another manifest."""
    shutil.copytree(shipped_bundle(), folder)
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def evaluate_bundle(bundle, data, *, variant=None, **how):
    loaded = load_bundle(bundle)
    return answer_frames(loaded, select_frames(loaded, data, **how), variant=variant)


@pytest.fixture
def recordings(make_session):
    make_session("one", 60)
    # Each command three times in a row.
    return make_session("two", 36, lambda index: CLASSES[index // 3 % 12]).parent


def test_each_recording_is_scored_by_itself_and_neighbours_give_a_baseline(recordings):
    found = evaluate_bundle(shipped_bundle(), [recordings], split="all")
    assert [(one.name, one.frames) for one in found.sessions] == [("one", 60), ("two", 36)]
    mean = sum(one.frames * one.accuracy for one in found.sessions) / 96
    assert mean == pytest.approx(found.evaluation.accuracy)
    # 94 frames have one before them; 24 of those in "two" repeat it.
    assert found.evaluation.last_accuracy == pytest.approx(24 / 94)
    assert sum(map(sum, found.evaluation.confusion)) == 96


def test_labels_are_matched_by_name(recordings, tmp_path):
    plain = evaluate_bundle(shipped_bundle(), [recordings], split="all")
    turned = edited(tmp_path / "turned", labels=LABELS[::-1])
    found = evaluate_bundle(turned, [recordings], split="all")
    assert found.truth.tolist() == [11 - label for label in plain.truth.tolist()]
    fewer = edited(tmp_path / "fewer", labels=[*LABELS[:-1], "fly"])
    with pytest.raises(DataError, match=r"does not know stop, of which the data has 8 frames"):
        evaluate_bundle(fewer, [recordings], split="all")


def test_a_bundle_of_another_task_or_variant_is_refused(recordings, tmp_path):
    follow = edited(tmp_path / "follow", task="follow")
    with pytest.raises(BundleError, match="trained to follow, the data holds frames with a label"):
        evaluate_bundle(follow, [recordings])
    signs = edited(tmp_path / "signs", task="classify")
    with pytest.raises(BundleError, match="trained to classify, not to drive"):
        autcar("eval", signs, "--tracks", 1)
    with pytest.raises(BundleError, match="no variant 'int4'"):
        evaluate_bundle(shipped_bundle(), [recordings], variant="int4")
    with pytest.raises(AutcarError, match="--tracks 8"):
        autcar("eval", shipped_bundle())


SEED_2 = {"seed": 2, "split": "blocks", "gap_s": 1.0, "shares": {"validation": 0.2, "test": 0.25}}


@pytest.fixture
def trained(make_session, tmp_path):
    """Makes bundles that say they were trained on a recording, and that recording."""
    folder = make_session("long", 1200)
    dataset = load_dataset(folder)

    def bundle(name, **data):
        return edited(tmp_path / name, data={"digest": dataset.digest(), **data})

    return bundle, folder, dataset


def chosen(bundle, folder, against=None, **how):
    """The paths of the frames that are chosen, and what is said of them."""
    said = Lines()
    other = load_bundle(against) if against else None
    found = select_frames(load_bundle(bundle), [folder], against=other, progress=said, **how)
    return found.dataset.paths, said.lines


def test_the_frames_are_those_that_training_left(trained):
    bundle, folder, dataset = trained
    left = make_split(dataset, "blocks", validation=0.2, test=0.25, seed=2).test
    expected = dataset.subset(left).paths
    assert chosen(bundle("mine", **SEED_2), folder) == (expected, [])
    # One that does not tell its shares was trained with the usual ones, as far as one knows.
    older = bundle("older", seed=2, split="blocks", gap_s=1.0)
    usual = dataset.subset(make_split(dataset, "blocks", seed=2).test).paths
    assert chosen(older, folder) == (usual, [])
    assert chosen(older, folder, validation=0.2, test=0.25) == (expected, [])


def test_frames_that_either_bundle_saw_are_told_of(trained):
    bundle, folder, dataset = trained
    mine, other = bundle("mine", **SEED_2), bundle("other", **{**SEED_2, "seed": 0})
    parts = make_split(dataset, "blocks", validation=0.2, test=0.25, seed=0)
    paths, (note,) = chosen(mine, folder, seed=0)
    assert paths == dataset.subset(parts.test).paths
    own = make_split(dataset, "blocks", validation=0.2, test=0.25, seed=2)
    learned = len(set(own.train) & set(parts.test))
    assert learned > 50
    assert "mine was trained with --split blocks --validation 0.2 --test 0.25 --seed 2" in note
    assert f"of these {len(paths)} it learned from {learned} and was chosen by" in note
    _, (note,) = chosen(mine, folder, other)
    assert f"{other} was trained with" in note
    _, (note,) = chosen(mine, folder, bundle("elsewhere", digest="0"))
    assert "not exactly the recordings that" in note
    _, (note,) = chosen(bundle("maps", split="maps"), folder)
    assert "parts that cannot be made again here (split maps)" in note


def test_heads_of_a_manifest_must_fit_its_labels(tmp_path):
    heads = {"color": ["blue", "red"], "number": ["1", "2"]}
    names = ["blue_1", "blue_2", "red_1", "red_2"]
    stars = load_bundle(edited(tmp_path / "stars", labels=names, heads=heads, task="classify"))
    assert [head.name for head in bundle_heads(stars).heads] == ["color", "number"]
    heads["number"] = ["1", "3"]
    odd = load_bundle(edited(tmp_path / "odd", labels=names, heads=heads, task="classify"))
    with pytest.raises(BundleError, match="heads that do not fit"):
        bundle_heads(odd)
    assert bundle_heads(load_bundle(shipped_bundle())) is None


def test_the_worst_mistakes_come_first_and_twins_once(recordings):
    found = evaluate_bundle(shipped_bundle(), [recordings], split="all")
    rows = worst_mistakes(found)
    assert len(rows) >= 2
    own = found.scores[rows, found.truth[rows]]
    assert (np.diff(own) >= 0).all()
    assert (found.scores[rows].argmax(1) != found.truth[rows]).all()
    groups, times = found.dataset.groups[rows], found.dataset.times_ns[rows]
    for group in set(groups.tolist()):
        assert (np.diff(np.sort(times[groups == group])) >= 2e9).all()


def test_two_bundles_and_a_drive_in_one_report(recordings, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("trainer.report.evaluation_report._FILM_FRAMES", 3)
    monkeypatch.setattr("trainer.report.evaluation_report._SALIENT", 2)
    folder = tmp_path / "report"
    other = edited(tmp_path / "other")
    words = ("--split", "all", "--against", other, "--tracks", 1, "--seconds", 2)
    assert autcar("eval", shipped_bundle(), recordings, *words, "--report", folder) == 0
    said = capsys.readouterr().out
    assert "only A right 0, only B right 0 of 96 frames" in said
    assert "1 unseen tracks" in said
    figures = json.loads((folder / "figures.json").read_text())
    assert figures["comparison"]["p"] == 1
    assert figures["against"]["accuracy"] == figures["accuracy"]
    assert figures["closed_loop"][str(other)]["tracks"] == 1
    page = (folder / "report.html").read_text()
    for name in ("confusion", "mix_ups", "calibration", "mistakes", "saliency", "track_1_0"):
        assert f"{name}.png" in page
        assert read_image(folder / f"{name}.png").std() > 5
    ok, frame = cv2.VideoCapture(str(folder / "saliency.webm")).read()
    assert ok
    assert frame.shape[1] >= 2 * 224
    # An earlier report is replaced, anything else is not.
    assert autcar("eval", shipped_bundle(), "--tracks", 1, "--seconds", 1, "--report", folder) == 0
    with pytest.raises(DataError, match="no report; name another"):
        autcar("eval", shipped_bundle(), "--tracks", 1, "--report", recordings)
