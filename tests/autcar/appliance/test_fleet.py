"""From the workstation: what is sent to ssh, what comes back, and how failures are told."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile

import pytest

from autcar import cli
from autcar.appliance.car_side import DIGESTS
from autcar.appliance.fleet import CarError, RemoteCar
from autcar.appliance.pull import pull
from autcar.bundle import shipped_bundle
from autcar.commands import LABELS
from autcar.errors import DataError
from tests.autcar.appliance.conftest import put

RED = RemoteCar("red", "pi@red.local")


@pytest.fixture
def ssh(programs):
    """What ssh does from now on, as a shell script; its last word is the car's command."""
    return lambda script: put(programs, "ssh", f"for word; do :; done\n{script}")


def test_a_question_and_its_answer(ssh, tmp_path):
    ssh(f'echo "$word" > {tmp_path}/asked; cat > {tmp_path}/fed; echo \'{{"said": "well"}}\'')
    assert RED.ask("use", "it's mine", feed=lambda to: to.write(b"bundle")) == {"said": "well"}
    assert (tmp_path / "asked").read_text() == "autcar car-side use 'it'\"'\"'s mine'\n"
    assert (tmp_path / "fed").read_bytes() == b"bundle"
    ssh("exit 0")
    assert RED.ask("nothing") is None


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'Connection refused' >&2; exit 255", "no connection to pi@red.local: .*refused"),
        ("exit 255", "no connection to pi@red.local: exit code 255; try `ssh pi@red.local`"),
        (
            "echo 'sh: autcar: not found' >&2; exit 127",
            "checkout on .*install-pi.sh`, then .*service install",
        ),
        ("echo noise >&2; echo 'autcar: no room' >&2; exit 1", "red: no room"),
    ],
)
def test_what_went_wrong_is_said_in_the_cars_own_words(ssh, script, why):
    ssh(script)
    with pytest.raises(CarError, match=why):
        RED.ask("receive", feed=lambda to: to.write(bytes(1_000_000)))


def test_a_workstation_without_ssh(programs, monkeypatch):
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(CarError, match="ssh is not installed"):
        RED.ask("facts")


FACTS = {
    "protocol": 1,
    "autcar": "0.1",
    "camera": [224, 168, 20.0],
    "labels": LABELS,
    "running": {},
    "services": {"drive": "not installed", "record": "not installed"},
    "model": "shipped",
    "free_mb": 12345,
    "name": "default-1",
    "said": "default-1 is ready and healthy",
}


def test_a_deployment_asks_uploads_and_switches(ssh, tmp_path, capsys):
    ssh(f"echo \"$word\" >> {tmp_path}/log; cat > {tmp_path}/fed; echo '{json.dumps(FACTS)}'")
    deploy = ["deploy", "pi@red", str(shipped_bundle()), "--skip", "simulator"]
    assert cli.main(deploy) == 0
    assert "✓ pi@red  default-1 is ready and healthy" in capsys.readouterr().out
    facts, receive, use = (tmp_path / "log").read_text().splitlines()
    assert (facts, receive) == ("autcar car-side facts", "autcar car-side receive")
    assert use.startswith("autcar car-side use default-1 --by ")
    assert use.endswith("--forced simulator")


def test_a_bundle_that_fails_its_card_goes_nowhere_unless_forced(ssh, tmp_path, capsys):
    ssh(f"echo \"$word\" >> {tmp_path}/log; cat > /dev/null; echo '{json.dumps(FACTS)}'")
    bad = tmp_path / "bad"
    shutil.copytree(shipped_bundle(), bad)
    manifest = json.loads((bad / "manifest.json").read_text())
    manifest["metrics"]["parity"]["int8"]["agreement"] = 0.9
    (bad / "manifest.json").write_text(json.dumps(manifest))
    assert cli.main(["deploy", str(bad)]) == 2
    assert "name a car: autcar deploy pi@car.local BUNDLE" in capsys.readouterr().err
    assert cli.main(["deploy", "pi@red", str(bad), "--skip", "simulator"]) == 2
    said = capsys.readouterr()
    assert said.out.startswith("parity: ")
    assert "say --skip parity or --force" in said.err
    assert not (tmp_path / "log").exists()
    code = cli.main(["deploy", "pi@red", str(bad), "--skip", "simulator", "--skip", "parity"])
    assert code == 0
    assert "--forced simulator --forced parity" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("running", "says"),
    [
        ({}, "drive: not installed; record: not installed; model shipped; 12,345 MB free"),
        ({"service": "drive", "armed": True, "frames": 1200}, "drive: driving, 1,200 frames;"),
        ({"service": "drive", "armed": False, "reason": "not armed"}, "drive: at rest, not armed"),
    ],
)
def test_how_a_car_is(ssh, capsys, running, says):
    ssh(f"echo '{json.dumps(FACTS | {'running': running})}'")
    assert cli.main(["status", "pi@red"]) == 0
    assert f"✓ pi@red  {says}" in capsys.readouterr().out


class Offers(RemoteCar):
    """A car that offers these files: size and time of change by path."""

    def __init__(self, files):
        super().__init__("red", "pi@red.local")
        object.__setattr__(self, "files", files)

    def ask(self, *words, feed=None):
        assert words == ("offer",)
        return self.files


CONTENT = {"lap/training.csv": b"rows", "lap/images/0.jpg": b"picture"}
OFFERED = {name: (len(data), 10**18) for name, data in CONTENT.items()}


def stream(files, digests=None):
    """What a car sends: the files, and last their digests."""
    if digests is None:
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    to = io.BytesIO()
    with tarfile.open(fileobj=to, mode="w|") as tar:
        for name, data in {**files, DIGESTS: json.dumps(digests).encode()}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return to.getvalue()


@pytest.fixture
def sends(ssh, tmp_path):
    """The bytes that the car sends from now on, having noted what it was asked for."""

    def given(data, end="exit 0"):
        (tmp_path / "stream").write_bytes(data)
        ssh(f"cat > {tmp_path}/wanted; cat {tmp_path}/stream; {end}")

    return given


def files_in(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


def test_pulling_brings_what_is_new_and_only_that(sends, tmp_path):
    to = tmp_path / "mine"
    sends(stream(CONTENT))
    assert pull(Offers(OFFERED), to).startswith("2 files, 0.0 MB, verified, in")
    assert files_in(to) == CONTENT
    assert (to / "lap/training.csv").stat().st_mtime_ns == 10**18
    assert pull(Offers(OFFERED), to) == f"nothing new in {to} (2 files)"
    sends(stream({"lap/training.csv": b"more rows"}))
    more = OFFERED | {"lap/training.csv": (9, 10**18)}
    assert pull(Offers(more), to).startswith("1 files")
    assert (tmp_path / "wanted").read_text() == "lap/training.csv"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.6])
def test_a_pull_that_is_cut_keeps_what_is_whole_and_goes_on(sends, tmp_path, share):
    to = tmp_path / "mine"
    to.mkdir()
    whole = stream(CONTENT)
    end = len(whole.rstrip(b"\0"))
    sends(whole[: int(share * end)], "echo 'Connection reset' >&2; exit 255")
    with pytest.raises(CarError, match="broke off .*`autcar data pull red` goes on"):
        pull(Offers(OFFERED), to)
    kept = files_in(to)
    assert kept.items() <= CONTENT.items()
    sends(stream({name: data for name, data in CONTENT.items() if name not in kept}))
    pull(Offers(OFFERED), to)
    assert files_in(to) == CONTENT


def test_a_connection_that_ends_before_it_was_asked(ssh, tmp_path):
    many = {f"{number:050d}.jpg": (1, 1) for number in range(5000)}
    ssh("echo 'Connection refused' >&2; exit 255")
    with pytest.raises(CarError, match=r"broke off \(Connection refused\)"):
        pull(Offers(many), tmp_path / "mine")


def test_a_file_that_came_altered_is_not_kept(sends, tmp_path):
    sends(stream(CONTENT, {"lap/training.csv": "0" * 64}))
    with pytest.raises(DataError, match=r"lap/training\.csv came altered; pull again"):
        pull(Offers(OFFERED), tmp_path / "mine")
    assert "lap/training.csv" not in files_in(tmp_path / "mine")


def test_a_file_that_nobody_asked_for_is_not_written(sends, tmp_path):
    sends(stream({"lap/.bashrc": b"evil"}))
    with pytest.raises(DataError, match="nobody asked for"):
        pull(Offers(OFFERED), tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_the_verb_pulls_from_each_car_into_a_folder_of_its_own(ssh, tmp_path, capsys):
    ssh(
        f"cat > /dev/null; case $word in *offer) echo '{json.dumps(OFFERED)}';; "
        f"*) cat {tmp_path}/stream;; esac"
    )
    (tmp_path / "stream").write_bytes(stream(CONTENT))
    to = tmp_path / "mine"
    assert cli.main(["data", "pull", "pi@red:1", "pi@blue", "--to", str(to)]) == 0
    assert capsys.readouterr().out.count("✓") == 2
    assert files_in(to / "pi-red-1") == files_in(to / "pi-blue") == CONTENT
