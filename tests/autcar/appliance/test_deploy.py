"""Models on the car's store, the gate on the workstation, cars by name."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from autcar.appliance.deploy import DeployError, check_fits
from autcar.appliance.fleet import CarError, RemoteCar, find_cars, with_each
from autcar.appliance.model_store import SHIPPED, ModelStore, ModelStoreError, check_runs, pack
from autcar.appliance.release import objections
from autcar.bundle import load_bundle, shipped_bundle
from autcar.cli import build_parser, main
from autcar.config import Config
from autcar.errors import BundleError, ConfigError, DataError, DataNotFoundError


def bundle_called(folder: Path, name: str, **changes) -> Path:
    bundle = folder / "made" / name
    shutil.copytree(shipped_bundle(), bundle)
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"name": name} | changes))
    return bundle


def stream_of(bundle: Path) -> io.BytesIO:
    stream = io.BytesIO()
    pack(bundle, stream)
    stream.seek(0)
    return stream


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "state", tmp_path / "run")


def test_an_empty_store_drives_what_was_shipped(store):
    assert store.active() == shipped_bundle()
    assert store.current() == SHIPPED
    assert store.previous() is None
    assert store.models() == []


def test_a_model_comes_switches_goes_back_and_goes(store, tmp_path):
    first = store.receive(stream_of(bundle_called(tmp_path, "first")), Config())
    second = store.receive(stream_of(bundle_called(tmp_path, "se/../cond x")), Config())
    assert second.startswith("se-cond-x-")
    assert store.current() == SHIPPED  # received is not driving
    store.switch(first)
    assert (store.current(), store.previous()) == (first, SHIPPED)
    store.switch(second)
    assert (store.current(), store.previous()) == (second, first)
    assert store.active().name == second
    store.switch(SHIPPED)
    assert (store.active(), store.previous()) == (shipped_bundle(), second)
    store.switch(second)
    with pytest.raises(ModelStoreError, match="is what the car drives with"):
        store.remove(second)
    store.remove(first)
    assert [model.name for model in store.models()] == [second]
    with pytest.raises(DataNotFoundError, match="there are shipped, se-cond"):
        store.switch(first)
    with pytest.raises(DataNotFoundError):
        store.find("../models/" + second)


def test_the_same_model_twice_is_one(store, tmp_path):
    bundle = bundle_called(tmp_path, "same")
    names = {store.receive(stream_of(bundle), Config()) for _ in range(2)}
    assert len(names) == len(store.models()) == 1
    assert not list(store.folder.glob(".*"))


def test_a_trial_is_over_with_its_end_and_after_a_boot(store, tmp_path):
    name = store.receive(stream_of(bundle_called(tmp_path, "tried")), Config())
    with store.trial(name):
        assert store.active().name == name
        assert store.current() == SHIPPED
        assert store.models()[0].on_trial
        rebooted = ModelStore(store.state, tmp_path / "empty-after-boot")
        assert rebooted.active() == shipped_bundle()
        with (
            pytest.raises(ModelStoreError, match="another model is on trial"),
            store.trial(SHIPPED),
        ):
            pass
        assert store.active().name == name
    assert store.active() == shipped_bundle()
    # Who tried it has died: its lock is gone, the link is not.
    (tmp_path / "run/trial").symlink_to(store.find(name))
    assert store.active() == shipped_bundle()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_stream_that_ends_early_leaves_nothing(store, tmp_path, share):
    whole = stream_of(bundle_called(tmp_path, "cut")).getvalue()
    end = len(whole.rstrip(b"\0"))
    with pytest.raises((DataError, BundleError)):
        store.receive(io.BytesIO(whole[: int(share * end)]), Config())
    assert list(store.folder.iterdir()) == []


def test_what_a_killed_upload_left_is_swept(store, tmp_path):
    left = store.folder / ".incoming.99999999"
    left.mkdir(parents=True)
    (left / "int8.tflite").write_bytes(b"half")
    store.receive(stream_of(bundle_called(tmp_path, "next")), Config())
    assert not left.exists()


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "sub/evil", ".hidden"])
def test_no_file_is_written_outside(store, name):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w|") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"evil"))
    stream.seek(0)
    with pytest.raises(DataError, match="does not take"):
        store.receive(stream, Config())


def test_no_link_is_followed(store):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w|") as tar:
        entry = tarfile.TarInfo("manifest.json")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(entry)
    stream.seek(0)
    with pytest.raises(DataError, match="does not take"):
        store.receive(stream, Config())


def test_a_car_takes_only_what_fits_and_keeps_up(tmp_path):
    from dataclasses import replace

    bundle = load_bundle(shipped_bundle())
    assert set(check_runs(bundle, Config())) == {"int8", "float32"}
    other = replace(Config(), camera=replace(Config().camera, width=320))
    with pytest.raises(BundleError, match="the camera gives 320×168"):
        check_runs(bundle, other)
    lying = load_bundle(bundle_called(tmp_path, "lying", width=320))
    with pytest.raises(BundleError, match="its manifest says 320×168"):
        check_runs(lying, other)


def test_a_torn_log_of_deployments_is_read(store):
    store.note("one", "drives", ("parity",))
    store.note("two", "drives")
    log = store.state / "deployments.jsonl"
    log.write_bytes(log.read_bytes()[:-9])
    assert [entry["model"] for entry in store.history()] == ["one"]


def with_metrics(tmp_path, name, change):
    bundle = bundle_called(tmp_path, name)
    manifest = json.loads((bundle / "manifest.json").read_text())
    change(manifest["metrics"])
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    return load_bundle(bundle)


@pytest.mark.parametrize(
    ("check", "change"),
    [
        ("card", lambda metrics: metrics.pop("test")),
        ("baseline", lambda metrics: metrics["test"].update(accuracy=0.3)),
        ("parity", lambda metrics: metrics["parity"]["int8"].update(agreement=0.97)),
        (
            "classes",
            lambda metrics: metrics["test"].update(
                confusion=[[5 if column == 6 else 0 for column in range(12)] for _ in range(12)]
            ),
        ),
    ],
)
def test_a_bundle_that_fails_its_card_is_refused_by_name(tmp_path, check, change):
    bundle = with_metrics(tmp_path, check, change)
    assert [found.check for found in objections(bundle, ["simulator"])] == [check]
    assert objections(bundle, ["simulator", check]) == []


def test_the_shipped_bundle_passes_its_card_and_the_simulator():
    assert objections(load_bundle(shipped_bundle())) == []


def facts(**changes):
    from autcar.commands import LABELS

    usual = {"protocol": 1, "autcar": "0", "camera": [224, 168, 20.0], "labels": list(LABELS)}
    return usual | {"running": {}} | changes


def test_what_does_not_fit_is_known_before_the_upload():
    car, bundle = RemoteCar("red", "pi@red"), load_bundle(shipped_bundle())
    check_fits(car, facts(), bundle)
    with pytest.raises(BundleError, match="the camera gives 320×240"):
        check_fits(car, facts(camera=[320, 240, 20.0]), bundle)
    with pytest.raises(BundleError, match="turn the wrong way"):
        check_fits(car, facts(labels=list(reversed(facts()["labels"]))), bundle)
    with pytest.raises(DeployError, match="is driving"):
        check_fits(car, facts(running={"armed": True}), bundle)
    with pytest.raises(DeployError, match="another protocol"):
        check_fits(car, facts(protocol=99), bundle)


def test_cars_have_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert find_cars(["pi@car"]) == [RemoteCar("pi@car", "pi@car")]
    with pytest.raises(DataNotFoundError, match=r"cars\.toml"):
        find_cars([])
    Path("cars.toml").write_text('[red]\naddress = "pi@red"\n[blue]\naddress = "b"\nsudo = true\n')
    red, blue = find_cars([])
    assert (red.name, blue.sudo) == ("red", True)
    assert blue.command("models", "list")[-1] == "sudo -n autcar models list"
    assert find_cars(["blue", "x@y"])[1].address == "x@y"
    with pytest.raises(ConfigError, match="did you mean red?"):
        find_cars(["rad"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[red]\n", "needs a line such as address"),
        ('[red]\naddress = "x"\nprot = 3\n', "did you mean port"),
        ('[red]\naddress = "x"\nport = "3"\n', "expected int"),
        ("[red\n", "not TOML"),
    ],
)
def test_a_wrong_cars_toml_says_what_is_wrong(tmp_path, monkeypatch, text, why):
    monkeypatch.chdir(tmp_path)
    Path("cars.toml").write_text(text)
    with pytest.raises(ConfigError, match=why):
        find_cars([])


def test_one_car_that_fails_does_not_hold_up_the_other():
    def work(car: RemoteCar) -> str:
        if car.name == "gone":
            raise CarError("gone: no connection")
        return "done"

    rows = with_each([RemoteCar("gone", "g"), RemoteCar("here", "h")], work)
    assert [(car.name, well, said) for car, well, said in rows] == [
        ("gone", False, "no connection"),
        ("here", True, "done"),
    ]


def test_an_address_cannot_become_an_option():
    car = RemoteCar("x", "-oProxyCommand=evil")
    command = car.command("car-side", "facts")
    assert command[command.index("--") + 1] == "-oProxyCommand=evil"


def test_pulling_writes_only_what_was_offered_inside_its_folder(tmp_path):
    from autcar.appliance.pull import pull

    class Liar(RemoteCar):
        def ask(self, *words, feed=None):
            return {"../../evil": [1, 1]}

    with pytest.raises(DataError, match="outside its recordings"):
        pull(Liar("x", "x"), tmp_path)


def test_the_verbs_are_there_and_the_cars_side_is_not_shown():
    text = build_parser().format_help()
    for verb in ("deploy", "models", "status", "service", "update"):
        assert f"    {verb} " in text
    assert "car-side" not in text


def test_a_bundle_before_the_car_is_put_right(capsys):
    assert main(["deploy", str(shipped_bundle()), "pi@car.local"]) != 0
    assert "as in autcar deploy pi@car.local models/default" in capsys.readouterr().err
