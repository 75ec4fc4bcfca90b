"""New software without a car: what is sent, what a slot is afterwards, and which is refused."""

import io

import pytest

from autcar import cli
from autcar.appliance import fleet
from autcar.appliance.fleet import RemoteCar
from autcar.appliance.parcel import pack, unpack
from autcar.appliance.slots import Slots, UpdateError
from autcar.appliance.update import update, wheels_for
from autcar.errors import DataError, DataNotFoundError


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
