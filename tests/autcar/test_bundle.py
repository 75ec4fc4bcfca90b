import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from autcar.bundle import add_proof, keep_earlier, load_bundle, shipped_bundle, write_bundle
from autcar.commands import LABELS
from autcar.errors import BundleError, DataNotFoundError


@pytest.fixture
def folder(tmp_path):
    write_bundle(
        tmp_path / "mine",
        models={"int8": (b"int8 bytes", "int8"), "float32": (b"float bytes", "float32")},
        card="# mine\n",
        labels=LABELS,
        width=224,
        height=168,
        metrics={"accuracy": 0.9},
        data={"frames": 10},
        versions={"autcar": "0"},
    )
    return tmp_path / "mine"


def edit(folder, **changes):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_is_written_is_read_back(folder):
    bundle = load_bundle(folder)
    assert bundle.manifest.labels == LABELS
    assert [variant.name for variant in bundle.manifest.variants] == ["int8", "float32"]
    assert bundle.path(bundle.variant("int8")).read_bytes() == b"int8 bytes"
    bundle.check_fits(224, 168)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["mine"]


def test_an_altered_cut_or_missing_file_is_refused(folder):
    path = folder / "int8.tflite"
    path.write_bytes(b"int8 bytez")
    with pytest.raises(BundleError, match=r"int8\.tflite was altered.*copy the bundle again"):
        load_bundle(folder)
    path.write_bytes(b"int8")
    with pytest.raises(BundleError, match="has 4 bytes, its manifest says 10"):
        load_bundle(folder)
    path.unlink()
    with pytest.raises(BundleError, match=r"lacks int8\.tflite"):
        load_bundle(folder)


@pytest.mark.parametrize("content", [b'{"name": "\xff"}', b"[" * 100_000, b"{"])
def test_a_damaged_manifest_is_named(folder, content):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest\.json cannot be read .*copy the bundle"):
        load_bundle(folder)


def test_no_bundle(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"there is no bundle at .*autcar train"):
        load_bundle(tmp_path)
    with pytest.raises(FileNotFoundError):
        load_bundle(tmp_path / "nowhere")


def test_where_a_power_cut_came_between_two_bundles_it_says_how_to_have_the_old_one(folder):
    folder.rename(folder.with_name(".mine.old.123"))
    with pytest.raises(DataNotFoundError, match=r"cut short.*: mv .*\.mine\.old\.123 .*mine$"):
        load_bundle(folder)


def test_labels_in_another_order_are_refused(folder):
    edit(folder, labels=[LABELS[1], LABELS[0], *LABELS[2:]])
    with pytest.raises(
        BundleError, match="another order: class 0 is left_light_forward, here it is left_light_b"
    ):
        load_bundle(folder).check_fits(224, 168)


def test_other_labels_are_refused(folder):
    edit(folder, labels=[*LABELS[:-1], "fly"])
    with pytest.raises(BundleError, match="fly, stop"):
        load_bundle(folder).check_fits(224, 168)


def test_an_input_that_does_not_fit_the_camera_is_refused(folder):
    with pytest.raises(BundleError, match=r"takes 224×168 .* gives 320×240; set width = 224"):
        load_bundle(folder).check_fits(320, 240)


def test_another_colour_order_is_refused(folder):
    edit(folder, color="BGR")
    with pytest.raises(BundleError, match="wants BGR"):
        load_bundle(folder).check_fits(224, 168)


def test_a_bundle_that_classifies_never_drives(folder):
    edit(folder, task="classify")
    with pytest.raises(BundleError, match="trained to classify, not to drive; .*autcar models"):
        load_bundle(folder).check_fits(224, 168)


def test_a_bundle_that_follows_needs_a_hero(folder):
    edit(folder, task="follow")
    with pytest.raises(BundleError, match="trained to follow, but none of its classes"):
        load_bundle(folder).check_fits(224, 168)
    edit(folder, task="follow", labels=["background", "people", "hero"])
    load_bundle(folder).check_fits(224, 168)
    with pytest.raises(BundleError, match="takes 224×168 images"):
        load_bundle(folder).check_fits(160, 120)


def test_heads_are_written_and_read_back(tmp_path):
    heads = {"colour": ("blue", "red"), "number": ("1", "2")}
    write_bundle(
        tmp_path / "stars",
        models={"int8": (b"x", "int8")},
        card="",
        labels=["blue_1", "red_1", "red_2"],
        width=8,
        height=8,
        metrics={},
        data={},
        versions={},
        task="classify",
        heads=heads,
    )
    manifest = load_bundle(tmp_path / "stars").manifest
    assert (manifest.task, manifest.heads) == ("classify", heads)


def test_an_unknown_quantization_is_refused(folder):
    variants = json.loads((folder / "manifest.json").read_text())["variants"]
    edit(folder, variants=[variants[0] | {"quantization": "int4"}])
    with pytest.raises(BundleError, match="variant 'int8' is 'int4', none of int8, float32"):
        load_bundle(folder)


def test_an_unknown_task_is_refused(folder):
    edit(folder, task="fly")
    with pytest.raises(BundleError, match="task 'fly' is none of drive, classify, follow"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read"),
        ("[]", "not a JSON object"),
        ('{"schema": 2}', "schema 2, this autcar reads 1"),
        ('{"schema": 1, "labels": []}', "variants"),
        ('{"schema": 1, "labels": [], "variants": []}', "missing"),
        ('{"schema": 1, "labels": [], "variants": [], "heads": []}', "heads .. is not an object"),
    ],
)
def test_a_manifest_that_cannot_be_read(folder, text, says):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=says):
        load_bundle(folder)


def test_a_file_outside_the_bundle_is_never_opened(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["variants"][0]["file"] = "../../secret"
    edit(folder, variants=manifest["variants"])
    with pytest.raises(BundleError, match="lies outside the bundle"):
        load_bundle(folder)


def test_an_unknown_variant_names_those_there_are(folder):
    with pytest.raises(BundleError, match="no variant 'int4'; it has int8, float32"):
        load_bundle(folder).variant("int4")


def test_writing_replaces_a_bundle_and_nothing_else(folder, tmp_path):
    other = tmp_path / "photos"
    other.mkdir()
    (other / "cat.jpg").touch()
    same = {
        "models": {"int8": (b"new", "int8")},
        "card": "",
        "labels": LABELS,
        "width": 1,
        "height": 1,
        "metrics": {},
        "data": {},
        "versions": {},
    }
    with pytest.raises(BundleError, match="is no bundle; name another folder"):
        write_bundle(other, **same)
    write_bundle(folder, **same)
    assert [path.name for path in sorted(folder.iterdir())] == [
        "card.md",
        "int8.tflite",
        "manifest.json",
    ]


def test_an_earlier_bundle_is_kept_under_another_name(folder, tmp_path):
    assert keep_earlier(tmp_path / "nothing") is None
    (tmp_path / "mine_1").mkdir()
    assert keep_earlier(folder) == tmp_path / "mine_2"
    assert not folder.exists()
    assert load_bundle(tmp_path / "mine_2").manifest.name == "mine"


GIVEN = {
    "models": {"int8": (b"new", "int8")},
    "card": "ü\n",
    "labels": LABELS,
    "width": 224,
    "height": 168,
    "metrics": {"accuracy": 0.5},
    "data": {"frames": 3},
    "versions": {"autcar": "1"},
}


def test_the_manifest_says_all_that_was_given(folder):
    bundle = write_bundle(folder, **GIVEN)
    assert bundle == load_bundle(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]
    found = json.loads((folder / "manifest.json").read_text())
    assert found == {
        "name": "mine",
        "labels": list(LABELS),
        "width": 224,
        "height": 168,
        "variants": [
            {
                "name": "int8",
                "file": "int8.tflite",
                "sha256": hashlib.sha256(b"new").hexdigest(),
                "size": 3,
                "quantization": "int8",
            }
        ],
        "task": "drive",
        "heads": {},
        "color": "RGB",
        "preprocessing": "inside the model: feed raw uint8 RGB",
        "runtime": "TensorFlow Lite, XNNPACK optional",
        "metrics": {"accuracy": 0.5},
        "data": {"frames": 3},
        "versions": {"autcar": "1"},
        "schema": 1,
    }
    assert (folder / "card.md").read_text(encoding="utf-8") == "ü\n"
    assert bundle.digest == hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()


def test_a_bundle_that_cannot_be_written_leaves_the_one_before(folder, monkeypatch):
    before = load_bundle(folder).digest

    def full(path, text, **_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("pathlib.Path.write_text", full)
        with pytest.raises(OSError, match="No space left"):
            write_bundle(folder, **GIVEN)
    assert load_bundle(folder).digest == before
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("no")])
def test_a_bundle_cut_off_between_old_and_new_is_the_old_one(folder, monkeypatch, error):
    before, rename = load_bundle(folder).digest, Path.rename

    def cut(path, target):
        if ".new." in path.name:
            raise error
        return rename(path, target)

    with monkeypatch.context() as power:
        power.setattr(Path, "rename", cut)
        with pytest.raises(type(error)):
            write_bundle(folder, **GIVEN)
    assert load_bundle(folder).digest == before
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]


def test_a_bundle_is_on_the_card_before_it_takes_the_place_of_another(folder, monkeypatch):
    """A power cut soon after must not leave empty files, with the bundle before gone."""
    done, rename, rmtree = [], Path.rename, shutil.rmtree

    def place(path):
        return re.sub(r"\.\d+$", "", str(Path(path).relative_to(folder.parent)))

    def fsync(file):
        stat = os.fstat(file)
        path = next(
            path
            for path in (folder.parent, *folder.parent.rglob("*"))
            if os.path.samestat(path.stat(), stat)
        )
        assert path.is_dir() or stat.st_size
        done.append(f"sync {place(path.parent)}/*" if path.is_file() else f"sync {place(path)}")

    def renamed(path, target):
        done.append(f"rename {place(path)}")
        return rename(path, target)

    def removed(path, **options):
        if Path(path).exists():
            done.append(f"remove {place(path)}")
        rmtree(path, **options)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr(shutil, "rmtree", removed)
    write_bundle(folder, **GIVEN)
    assert done == [
        *["sync .mine.new/*"] * 3,
        "sync .mine.new",
        "rename mine",
        "rename .mine.new",
        "sync .",
        "remove .mine.old",
    ]


def test_what_was_proved_later_joins_card_and_manifest(folder):
    (folder / "card.md").write_text("# mine\n\n## Data\n\n10 frames\n", encoding="utf-8")
    add_proof(load_bundle(folder), "Walks", "3 of 6", {"walks": 3})
    add_proof(load_bundle(folder), "Driving", "1 of 6", {"drives": 1})
    add_proof(load_bundle(folder), "Walks", "5 of 6", {"walks": 5})
    assert (folder / "card.md").read_text(encoding="utf-8") == (
        "# mine\n\n## Data\n\n10 frames\n\n## Driving\n\n1 of 6\n\n## Walks\n\n5 of 6\n"
    )
    bundle = load_bundle(folder)
    assert bundle.manifest.metrics == {"accuracy": 0.9, "walks": 5, "drives": 1}
    assert [variant.name for variant in bundle.manifest.variants] == ["int8", "float32"]
    assert bundle.path(bundle.variant("float32")).read_bytes() == b"float bytes"
    assert (bundle.manifest.width, bundle.manifest.height) == (224, 168)


def test_a_bundle_goes_into_a_new_or_an_empty_folder(tmp_path):
    deep = tmp_path / "deep/down/below"
    assert write_bundle(deep, **GIVEN).folder == deep
    (tmp_path / "empty").mkdir()
    write_bundle(str(tmp_path / "empty"), **GIVEN)
    assert load_bundle(str(tmp_path / "empty")).manifest.name == "empty"


def test_classes_that_see_nothing_may_stand_among_the_commands(folder):
    edit(folder, labels=["black_screen", *LABELS, "white_screen"])
    load_bundle(folder).check_fits(224, 168)
    edit(folder, labels=["black_screen", *LABELS[1:]])
    with pytest.raises(BundleError, match="differ from the car's 12: left_light_backwards;"):
        load_bundle(folder).check_fits(224, 168)
    edit(folder, labels=list(LABELS), width=320)
    with pytest.raises(BundleError, match="takes 320×168 images, the camera gives 224×168"):
        load_bundle(folder).check_fits(224, 168)
    with pytest.raises(BundleError, match="the camera gives 320×240"):
        load_bundle(folder).check_fits(320, 240)


def test_another_vocabulary_is_told_in_four_words(folder):
    edit(folder, labels=["a", "b"])
    with pytest.raises(BundleError, match="differ from the car's 3: a, b, c, d; driving"):
        load_bundle(folder).check_fits(224, 168, labels=("c", "d", "e"))
    load_bundle(folder).check_fits(224, 168, labels=("a", "b"))


def test_no_variant_at_all_is_no_bundle(folder):
    edit(folder, variants=[])
    with pytest.raises(BundleError, match=r"manifest\.json cannot be read \(no variants\)"):
        load_bundle(folder)


def test_earlier_bundles_are_kept_from_one_on(folder):
    assert keep_earlier(str(folder)) == folder.with_name("mine_1")
    write_bundle(folder, **GIVEN)
    assert keep_earlier(folder) == folder.with_name("mine_2")


def test_what_is_shipped_lies_in_the_package_or_in_the_checkout(tmp_path, monkeypatch):
    package = tmp_path / "autcar"
    monkeypatch.setattr("autcar.bundle.__file__", str(package / "bundle.py"))
    assert shipped_bundle() == tmp_path / "models/default"
    (package / "models/follow").mkdir(parents=True)
    assert shipped_bundle("follow") == package / "models/follow"
