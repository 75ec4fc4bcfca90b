"""New software without a car: what is sent, what a slot is afterwards, and which is refused."""

import io
import itertools
from pathlib import Path

import pytest

from autcar import cli
from autcar.appliance import fleet
from autcar.appliance.fleet import RemoteCar
from autcar.appliance.model_store import point
from autcar.appliance.models import SwitchError
from autcar.appliance.parcel import pack, unpack
from autcar.appliance.slots import Slots, UpdateError, _version
from autcar.appliance.update import update, wheels_for
from autcar.errors import DataError, DataNotFoundError
from tests.autcar.appliance.conftest import put


@pytest.fixture
def slots(tmp_path, monkeypatch):
    """Slot a is in use; to install is to keep the command, to prove and switch are noted."""
    folder = tmp_path / "opt"
    (folder / "a/bin").mkdir(parents=True)
    (folder / "a/bin/autcar").touch()
    (folder / "current").symlink_to(folder / "a")
    slots = Slots(folder, tmp_path / "run")
    slots.installed = []

    def install(slot, what, wheels):
        there = sorted(path.name for path in (slot / "wheels").glob("*"))
        slots.installed.append((what, wheels, there))
        (slot / "bin").mkdir()
        (slot / "bin/autcar").touch()

    monkeypatch.setattr(slots, "_install", install)
    monkeypatch.setattr(slots, "_prove", lambda slot: None)
    monkeypatch.setattr("autcar.appliance.slots._version", lambda slot: "autcar 9")
    monkeypatch.setattr("autcar.appliance.models.refuse_while_driving", lambda: None)
    monkeypatch.setattr(
        "autcar.appliance.service.health", lambda unit: {"state": "inactive", "says": ""}
    )
    monkeypatch.setattr("autcar.appliance.service.systemctl", lambda *_, **__: "")
    return slots


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "autcar-9-py3-none-any.whl"
    path.write_bytes(b"wheel" * 1000)
    return path


def stream_of(*files):
    stream = io.BytesIO()
    pack(files, stream)
    return stream.getvalue()


def test_wheels_are_taken_installed_and_cleared_away(slots, wheel):
    slot = slots.other()
    said = slots.receive(io.BytesIO(stream_of(wheel)), wheel.name, alone=True)
    assert said.startswith("autcar 9 runs, in slot b")
    assert slots.current() == slot
    assert slots.installed == [
        (str(slot / "wheels" / wheel.name), str(slot / "wheels"), [wheel.name])
    ]
    assert sorted(path.name for path in slot.iterdir()) == ["bin"]
    slots.receive(io.BytesIO(stream_of()), "autcar==8", alone=False)
    assert slots.installed[-1] == ("autcar==8", None, [])


def test_an_upload_that_is_cut_changes_nothing(slots, wheel):
    whole = stream_of(wheel)
    for cut in (0, 600, len(whole) // 2):
        with pytest.raises(UpdateError, match="not updated, a runs on: the upload broke off"):
            slots.receive(io.BytesIO(whole[:cut]), wheel.name, alone=True)
        assert slots.current().name == "a"
        assert not slots.other().exists()
    assert slots.installed == []


@pytest.mark.parametrize("error", [UpdateError("no"), KeyboardInterrupt()])
def test_software_that_does_not_prove_itself_leaves_nothing(slots, monkeypatch, error):
    def fail(slot):
        raise error

    monkeypatch.setattr(slots, "_prove", fail)
    with pytest.raises(type(error)):
        slots.update("autcar")
    assert slots.current().name == "a"
    assert not slots.other().exists()


def test_what_has_taken_over_is_not_deleted_by_what_fails_after(slots, monkeypatch):
    def fail(slot):
        point(slots.folder / "current", slot)
        raise KeyboardInterrupt

    monkeypatch.setattr(slots, "_switch", fail)
    with pytest.raises(KeyboardInterrupt):
        slots.update("autcar")
    assert slots.current().name == "b"
    assert (slots.current() / "bin/autcar").exists()


def test_one_change_at_a_time(slots, monkeypatch):
    slots.update("autcar")

    def meanwhile(slot):
        before = sorted(slots.folder.rglob("*"))
        for change in (lambda: Slots(slots.folder).update("autcar"), Slots(slots.folder).back):
            with pytest.raises(UpdateError, match="another `autcar update` .*opt right now; wait"):
                change()
        assert sorted(slots.folder.rglob("*")) == before

    monkeypatch.setattr(slots, "_prove", meanwhile)
    assert slots.update("autcar").startswith("autcar 9 runs, in slot a")
    assert slots.back() == "autcar 9 runs, in slot b"


def test_new_software_is_on_the_disk_before_it_takes_over(slots, monkeypatch):
    found = []

    def sync():
        found.append((slots.current().name, (slots.folder / "b/unfinished").exists()))

    monkeypatch.setattr("os.sync", sync)
    slots.update("autcar")
    assert found == [("a", True)]


def test_back_goes_to_the_software_of_before(slots):
    slots.update("autcar")
    assert slots.current().name == "b"
    assert slots.back() == "autcar 9 runs, in slot a"
    assert slots.current().name == "a"


def test_back_does_not_go_to_what_a_power_cut_left(slots, monkeypatch):
    with monkeypatch.context() as power:
        power.setattr(slots, "_prove", lambda slot: power.setattr("shutil.rmtree", gone) or gone())

        def gone(*_, **__):
            raise SystemExit("nothing more happens")

        with pytest.raises(SystemExit):
            slots.update("autcar")
    assert (slots.other() / "bin/autcar").exists()
    with pytest.raises(UpdateError, match="there is no software of before"):
        slots.back()
    assert not slots.other().exists()
    assert slots.current().name == "a"


def test_what_is_sent(wheel, tmp_path):
    folder = tmp_path / "wheels"
    folder.mkdir()
    with pytest.raises(DataNotFoundError, match="no wheel in"):
        wheels_for("autcar", str(folder))
    (folder / "numpy-2-x.whl").touch()
    (folder / wheel.name).touch()  # an older build of the same
    assert wheels_for("autcar", None) == []
    assert wheels_for(str(wheel), None) == [wheel]
    assert set(wheels_for(str(wheel), str(folder))) == {wheel, folder / "numpy-2-x.whl"}
    with pytest.raises(DataNotFoundError, match="pip wheel"):
        wheels_for("gone.whl", None)

    class Asked(RemoteCar):
        def ask(self, *words, feed=None):
            stream = io.BytesIO()
            feed(stream)
            unpack(io.BytesIO(stream.getvalue()), tmp_path)
            return {"said": words}

    car = Asked("red", "pi@red")
    said = update(car, str(wheel), [wheel], alone=False)
    assert said == ("update", "--what", wheel.name)
    assert update(car, "autcar", [], alone=True) == ("update", "--what", "autcar", "--alone")


def test_a_stream_stays_in_its_folder(tmp_path):
    import tarfile

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w|") as tar:
        entry = tarfile.TarInfo("../evil")
        tar.addfile(entry)
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match=r"'\.\./evil', which a car does not take"):
        unpack(io.BytesIO(stream.getvalue()), tmp_path / "in")
    assert not (tmp_path / "evil").exists()


def test_many_cars_from_the_workstation(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cars.toml").write_text('[red]\naddress="pi@r"\n[blue]\naddress="pi@b"\n')

    def ask(car, *words, feed=None):
        if car.name == "blue":
            raise fleet.CarError("blue: no connection")
        return {"said": " ".join(words)}

    monkeypatch.setattr(RemoteCar, "ask", ask)
    assert cli.main(["update", "--back", "--all"]) == 1
    assert capsys.readouterr().out == "✓ red   update --back\n✗ blue  no connection\n"
    assert cli.main(["update", "--car", "red"]) == 0
    assert "✓ red  update --what autcar\n" in capsys.readouterr().out


def test_on_a_workstation_it_asks_for_a_car(monkeypatch, capsys):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert cli.main(["update"]) == 2
    assert "autcar update --car pi@car.local" in capsys.readouterr().err


def test_root_on_a_machine_that_is_no_car_is_told_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("autcar.appliance.slots.Slots", lambda: Slots(tmp_path / "opt"))
    assert cli.main(["update", "new.whl"]) == 2
    said = capsys.readouterr().err
    assert "opt has no software of a car's" in said
    assert "autcar update --car pi@car.local" in said


@pytest.mark.parametrize("shared", [True, False])
def test_an_environment_like_the_one_before_with_all_that_a_car_needs(
    tmp_path, monkeypatch, shared
):
    commands = []
    monkeypatch.setattr(
        "autcar.appliance.slots._run", lambda command, *_: commands.append([*map(str, command)])
    )
    (tmp_path / "a").mkdir()
    (tmp_path / "a/pyvenv.cfg").write_text(f"include-system-site-packages = {shared}\n".lower())
    (tmp_path / "current").symlink_to(tmp_path / "a")
    slot = tmp_path / "b"
    slots = Slots(tmp_path)
    slots._install(slot, "autcar", None)
    slots._install(slot, "/w/autcar-9.whl", "/w")
    slots._install(slot, "autcar==9", None)
    venv = commands[0]
    assert venv[1:] == ["-m", "venv", *["--system-site-packages"] * shared, str(slot)]
    assert [command[4:] for command in commands[1::2]] == [
        ["--quiet", "autcar[car]"],
        ["--quiet", "--no-index", "--find-links", "/w", "/w/autcar-9.whl[car]"],
        ["--quiet", "autcar==9"],
    ]


def test_new_software_reads_this_cars_settings_and_drives(car, programs, tmp_path):
    slot = tmp_path / "b"
    (slot / "bin").mkdir(parents=True)
    put(slot / "bin", "autcar", f'echo "$@" >> {tmp_path}/ran; pwd >> {tmp_path}/where')
    slots = Slots(tmp_path)
    slots._prove(slot)
    (car / "car.toml").touch()
    slots._prove(slot)
    drive = "drive --fast --seconds 5"
    assert (tmp_path / "ran").read_text().splitlines() == [
        drive,
        f"config --config {car}/car.toml",
        drive,
    ]
    # Somewhere that is gone afterwards, so that no car.toml of that folder is read.
    assert not any(Path(line).exists() for line in (tmp_path / "where").read_text().split())
    put(slot / "bin", "autcar", "echo Traceback; echo 'ImportError: numpy'; exit 1")
    (car / "car.toml").unlink()
    with pytest.raises(UpdateError, match="drive --fast --seconds 5` failed: ImportError: numpy"):
        slots._prove(slot)


def test_what_new_software_calls_itself(tmp_path):
    (tmp_path / "bin").mkdir()
    put(tmp_path / "bin", "autcar", "echo autcar 9")
    assert _version(tmp_path) == "autcar 9"
    put(tmp_path / "bin", "autcar", "exit 1")
    assert _version(tmp_path) == "autcar"


@pytest.fixture
def served(slots, monkeypatch):
    """The driving service is up while the software is changed; what systemctl was told."""
    told = []
    state = {"state": "active", "pid": 1, "says": "runs"}

    def systemctl(*command, check=True):
        told.append(" ".join(command))
        drop_in = slots._runtime / "autcar-edge.service.d/trial.conf"
        if command[:1] == ("restart",):
            told.append(drop_in.read_text().split("=")[-1] if drop_in.exists() else "as before")
        return ""

    def health(unit):
        return state if "edge" in unit else state | {"state": "inactive"}

    monkeypatch.setattr("autcar.appliance.service.systemctl", systemctl)
    monkeypatch.setattr("autcar.appliance.service.health", health)
    monkeypatch.setattr("autcar.appliance.control.ask", lambda request: {})
    monkeypatch.setattr("autcar.appliance.models.HEALTHY_S", 0.1)
    slots.told, slots.service = told, state
    return slots


def test_the_service_runs_on_trial_before_the_switch(served):
    served.update("autcar")
    assert served.current().name == "b"
    runs = [text for text in served.told if text.startswith("/")]
    assert len(runs) == 1
    assert not list(served._runtime.rglob("trial.conf"))
    assert served.told[-1] == "daemon-reload"


def test_a_car_that_was_armed_during_the_installation_is_left_alone(served, monkeypatch):
    served.update("autcar")
    armed = []

    def refuse():
        if armed:
            raise SwitchError("the car is driving")

    monkeypatch.setattr("autcar.appliance.models.refuse_while_driving", refuse)
    monkeypatch.setattr(served, "_prove", armed.append)
    served.told.clear()
    with pytest.raises(SwitchError, match="the car is driving"):
        served.back()
    assert (served.other() / "bin/autcar").exists()
    armed.clear()
    with pytest.raises(UpdateError, match="not updated, b runs on: the car is driving"):
        served.update("autcar")
    assert served.told == []
    assert served.current().name == "b"


def test_a_service_that_does_not_stay_up_brings_the_old_software_back(served, monkeypatch):
    looks = itertools.count()

    def health(unit):
        state = "active" if "edge" in unit else "inactive"
        return {"state": state, "pid": next(looks), "says": "restarted"}

    monkeypatch.setattr("autcar.appliance.service.health", health)
    with pytest.raises(UpdateError, match="autcar-edge.service did not stay up: restarted"):
        served.update("autcar")
    assert served.current().name == "a"
    assert served.told[-1] == "as before"


def test_a_trial_that_is_interrupted_brings_the_old_software_back(served, monkeypatch):
    def interrupted(unit):
        raise KeyboardInterrupt

    monkeypatch.setattr("autcar.appliance.slots._see_running", interrupted)
    with pytest.raises(KeyboardInterrupt):
        served.update("autcar")
    assert served.current().name == "a"
    assert not served.other().exists()
    assert served.told[-1] == "as before"


def test_on_the_car_the_verb_updates_and_goes_back(slots, monkeypatch, capsys):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("autcar.appliance.slots.Slots", lambda: slots)
    assert cli.main(["update", "autcar==9"]) == 0
    assert cli.main(["update", "--back"]) == 0
    assert capsys.readouterr().out == (
        "autcar 9 runs, in slot b; `autcar update --back` undoes it\nautcar 9 runs, in slot a\n"
    )
