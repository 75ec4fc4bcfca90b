"""Deployment over a real sshd on loopback: which model drives afterwards, and what is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autcar.bundle import shipped_bundle
from tests.system.sshd_car import SSHD, SshdCar

pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="an sshd to log in to needs root"
    ),
    pytest.mark.skipif(not Path(SSHD).exists(), reason="apt install openssh-server"),
]


def make_bundle(folder: Path, name: str, **changes) -> Path:
    """The shipped bundle under another name, with other lines in its manifest."""
    bundle = folder / name
    shutil.copytree(shipped_bundle(), bundle)
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"name": name} | changes))
    return bundle


@pytest.fixture(scope="module")
def red(tmp_path_factory):
    car = SshdCar(tmp_path_factory.mktemp("cars"), "red")
    yield car
    car.close()


@pytest.fixture(scope="module")
def blue(tmp_path_factory):
    car = SshdCar(tmp_path_factory.mktemp("cars"), "blue")
    yield car
    car.close()


@pytest.fixture
def workstation(tmp_path, red):
    return Workstation(tmp_path, red)


class Workstation:
    """`autcar` typed in a folder of its own that knows its cars."""

    def __init__(self, folder: Path, *cars: SshdCar) -> None:
        self.folder = folder
        self.config = folder / "ssh_config"
        self.config.write_text("".join(car.ssh_config for car in cars))
        (folder / "cars.toml").write_text(
            "".join(f'[{car.name}]\naddress = "root@{car.name}"\n' for car in cars)
        )

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "autcar.cli", *words, "--ssh-config", str(self.config)]

    def __call__(self, *words: str) -> tuple[int, str]:
        done = subprocess.run(
            self.command(*words), cwd=self.folder, capture_output=True, text=True
        )
        print(done.stdout + done.stderr)
        return done.returncode, done.stdout + done.stderr


def test_a_first_deployment_and_an_upgrade_and_the_way_back(red, workstation, tmp_path):
    red.boot()
    assert red.drives() == "default"  # the one shipped with autcar
    first, second = make_bundle(tmp_path, "first"), make_bundle(tmp_path, "second")
    began = time.monotonic()
    code, said = workstation("deploy", "red", str(first))
    print(f"deployed in {time.monotonic() - began:.1f} s")
    assert code == 0, said
    assert "ready and healthy" in said
    assert red.drives().startswith("first-")
    code, said = workstation("deploy", "red", str(second))
    assert code == 0, said
    assert red.drives().startswith("second-")
    assert "ready and healthy" in red.autcar("models", "rollback")
    assert red.drives().startswith("first-")
    assert red.left_over() == []
    listed = red.autcar("models", "list")
    assert "* first-" in listed
    assert "the one before" in listed
    second_name = next(line.split()[0] for line in listed.splitlines() if "second-" in line)
    first_name = red.drives()
    assert "is what the car drives with" in red.autcar("models", "remove", first_name)
    assert "is gone" in red.autcar("models", "remove", second_name)
    assert "second" not in red.autcar("models", "list")


def test_a_bundle_that_does_not_fit_is_not_even_uploaded(red, workstation, tmp_path):
    before, starts = red.drives(), red.unit["starts"]
    wide = make_bundle(tmp_path, "wide", width=320, height=240)
    code, said = workstation("deploy", "red", str(wide), "--skip", "simulator")
    assert code == 1
    assert "takes 320×240 images, the camera gives 224×168" in said
    turned = make_bundle(tmp_path, "turned", labels=red_labels_turned())
    code, said = workstation("deploy", "red", str(turned), "--skip", "simulator")
    assert code == 1
    assert "would turn the wrong way" in said
    assert (red.drives(), red.unit["starts"]) == (before, starts)
    assert red.left_over() == []
    assert not list((red.state / "models").glob("*wide*"))


def red_labels_turned() -> list[str]:
    from autcar.commands import LABELS

    return [LABELS[1], LABELS[0], *LABELS[2:]]


def test_the_car_itself_refuses_what_lies_about_its_size(red, workstation, tmp_path):
    """A manifest that fits on a model that does not: found by running it, on the car."""
    before = red.drives()
    liar = make_bundle(tmp_path, "liar")
    manifest = json.loads((liar / "manifest.json").read_text())
    manifest["variants"][0]["sha256"] = "0" * 64
    (liar / "manifest.json").write_text(json.dumps(manifest))
    # By hand, past the workstation's own look at it.
    done = subprocess.run(
        f"tar -C {liar} -c . --transform 's,^./,,' manifest.json card.md int8.tflite "
        f"float32.tflite | ssh -F {workstation.config} red autcar car-side receive",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert red.drives() == before
    assert red.left_over() == []


@pytest.mark.parametrize("cut", [0, 700, 100_000, 300_000])
def test_an_upload_that_is_cut_leaves_nothing(red, workstation, tmp_path, cut):
    import io

    from autcar.appliance.model_store import pack

    before = red.drives()
    whole = io.BytesIO()
    pack(make_bundle(tmp_path, "cut"), whole)
    done = subprocess.run(
        ["ssh", "-F", str(workstation.config), "red", "autcar car-side receive"],
        input=whole.getvalue()[:cut],
        capture_output=True,
    )
    assert done.returncode == 2
    assert b"broke off" in done.stderr
    assert red.drives() == before
    assert red.left_over() == []
    assert not list((red.state / "models").glob("cut*"))


def test_a_connection_that_is_killed_in_the_middle(red, workstation, tmp_path):
    import io

    from autcar.appliance.model_store import pack

    before = red.drives()
    whole = io.BytesIO()
    pack(make_bundle(tmp_path, "killed"), whole)
    process = subprocess.Popen(
        ["ssh", "-F", str(workstation.config), "red", "autcar car-side receive"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    process.stdin.write(whole.getvalue()[:200_000])
    process.stdin.flush()
    wait_for(lambda: list((red.state / "models").glob(".incoming.*")))
    process.kill()
    process.wait()
    wait_for(lambda: not red.left_over())
    assert red.drives() == before


@pytest.mark.parametrize(
    ("name", "why"), [("sleepy", "did not become ready"), ("stalls", "no autcar service answers")]
)
def test_a_service_that_does_not_get_well_is_taken_back(red, workstation, tmp_path, name, why):
    before = red.drives()
    code, said = workstation("deploy", "red", str(make_bundle(tmp_path, name)))
    assert code == 1
    assert "was taken back" in said
    assert why in said
    assert red.drives() == before
    assert red.left_over() == []
    assert json.loads((red.state / "deployments.jsonl").read_text().splitlines()[-1])[
        "outcome"
    ].startswith("taken back")


def test_a_power_cut_during_the_trial_leaves_the_old_model(red, workstation, tmp_path):
    before, starts = red.drives(), red.unit["starts"]
    process = subprocess.Popen(
        workstation.command("deploy", "red", str(make_bundle(tmp_path, "trial"))),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    # Until it was started anew, and not only is to be.
    wait_for(lambda: red.unit["starts"] > starts and red.unit["state"] == "active", 30)
    assert (red.run / "trial").is_symlink()
    # The power goes: every process ends, and /run is empty afterwards.
    trying = subprocess.run(
        ["pgrep", "-f", f"{red.folder}/bin/autcar car-side use"], capture_output=True
    )
    for pid in trying.stdout.split():
        os.kill(int(pid), signal.SIGKILL)
    process.wait()
    # Even without that, a trial that nobody judges is none.
    red.boot()
    assert red.drives() == before
    (red.run / "trial").unlink()
    red.boot()
    assert red.drives() == before
    assert red.left_over() == []


def test_a_driving_car_is_left_alone(red, workstation, tmp_path):
    assert "it drives" in red.autcar("service", "arm")
    before, starts = red.drives(), red.unit["starts"]
    code, said = workstation("deploy", "red", str(make_bundle(tmp_path, "rude")))
    assert code == 1
    assert "is driving" in said
    assert (red.drives(), red.unit["starts"]) == (before, starts)
    red.autcar("service", "disarm")


def test_two_cars_at_once_with_a_table(red, blue, tmp_path):
    both = Workstation(tmp_path, red, blue)
    blue.boot()
    code, said = both("deploy", "--all", str(make_bundle(tmp_path, "pair")))
    assert code == 0, said
    assert said.count("ready and healthy") == 2
    for car in (red, blue):
        assert car.drives().startswith("pair-")
        assert car.left_over() == []
    code, said = both("status")
    assert code == 0
    assert "✓ red   drive: at rest, not armed; model pair-" in said
    assert "✓ blue  drive: at rest, not armed; model pair-" in said


def test_one_of_two_cars_that_is_not_there(red, tmp_path):
    both = Workstation(tmp_path, red)
    (tmp_path / "cars.toml").write_text(
        '[red]\naddress = "root@red"\n[gone]\naddress = "root@127.0.0.1"\nport = 1\n'
    )
    code, said = both("status")
    assert code == 1
    assert "✓ red " in said
    assert "✗ gone  no connection to root@127.0.0.1" in said


def test_a_bundle_that_fails_its_card_stays_at_home_unless_forced(red, workstation, tmp_path):
    bad = make_bundle(tmp_path, "bad")
    manifest = json.loads((bad / "manifest.json").read_text())
    manifest["metrics"]["test"]["accuracy"] = 0.2
    manifest["metrics"]["parity"]["int8"]["agreement"] = 0.9
    (bad / "manifest.json").write_text(json.dumps(manifest))
    before = red.drives()
    code, said = workstation("deploy", "red", str(bad))
    assert code == 2
    assert "baseline: accuracy 0.200 is no better than always saying" in said
    assert "parity: int8 answers otherwise" in said
    assert red.drives() == before
    code, said = workstation("deploy", "red", str(bad), "--force")
    assert code == 0, said
    assert red.drives().startswith("bad-")
    assert "forced past: baseline, parity" in red.autcar("models", "list")


def test_recordings_are_pulled_resumed_and_verified(red, workstation, make_session, tmp_path):
    session = make_session("lap", frames=60)
    there = red.state / "recordings" / "lap"
    shutil.copytree(session, there)
    to = tmp_path / "mine"
    code, said = workstation("data", "pull", "red", "--to", str(to))
    assert code == 0, said
    assert "verified" in said
    assert_same(there, to / "red" / "lap")
    assert "nothing new" in workstation("data", "pull", "red", "--to", str(to))[1]
    # Half of it lost, one picture cut short, and more recorded: only that comes again.
    pictures = sorted((to / "red/lap").rglob("*.jpg"))
    for picture in pictures[::2]:
        picture.unlink()
    pictures[1].write_bytes(b"short")
    (there / "more.jpg").write_bytes(b"new")
    code, said = workstation("data", "pull", "red", "--to", str(to))
    assert code == 0, said
    assert f"{len(pictures[::2]) + 2} files" in said
    assert_same(there, to / "red" / "lap")


def assert_same(one: Path, other: Path) -> None:
    def content(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    assert content(one) == content(other)


def wait_for(condition, within_s: float = 10.0):
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"not within {within_s} s")
