"""Every command that the documentation shows is tried, as it stands there.

Commands run in a folder that holds what the pages speak of (:func:`_evening`), with small
arguments added: fewer frames, epochs, seconds. What needs a car, a network or a person
is parsed by the real parser, so that a misspelt option fails; a block that says
``<!-- not run: WHY -->`` is, too.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from unittest import mock

import pytest

from autcar.bundle import shipped_bundle
from autcar.cli import build_parser, main
from autcar.config import Config, load_config
from tests.conftest import REPOSITORY

pytest.importorskip("tensorflow")

PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("docs/**/*.md"),
        *REPOSITORY.glob("examples/**/*.md"),
    ]
)

ON_A_CAR = {
    "calibrate",
    "deploy",
    "fleet",
    "models",
    "service",
    "status",
    "update",
    ("data", "pull"),
}
"""Verbs that need a car, or change this machine."""

LONG = {"demo", "networks", "sweep"}
"""Verbs that take minutes however small; they have tests of their own."""

WITH_A_PERSON = {"--gamepad", "--keyboard", "--service"}

SMALL = {
    "bench": "--runs 5 --seconds 0.5",
    "drive": "--seconds 1",
    "eval": "--seconds 1",
    "improve": "--rounds 1 --frames 300 --corrections 60 --epochs 1 --tracks 1 --seconds 2",
    "record": "--seconds 1 --port 0",
    "train": "--epochs 1 --size 64x48 --variants float32 --force --output models/trained",
}

MAY_END_BADLY = {"data", "drive", "improve", "record", "replay", "train"}
"""So little, on a busy machine, may end on a fault: exit code 1. A wrong option would be 2."""

_FENCE = re.compile(
    r"(?:^<!-- not run: (?P<why>.+?) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    kind: str
    text: str
    runs: bool

    def commands(self) -> Iterator[str]:
        for line in self.text.replace("\\\n", " ").splitlines():
            if self.kind == "console":
                if not line.startswith("$ "):
                    continue
                line = line[2:]
            if line.strip() and not line.startswith("#"):
                yield line


def blocks(page: Path, *kinds: str) -> list[Block]:
    found = _FENCE.finditer(page.read_text(encoding="utf-8"))
    return [
        Block(one["kind"], one["text"], one["why"] is None)
        for one in found
        if one["kind"] in kinds
    ]


def as_said(words: str) -> None:
    assert main(words.split()) == 0


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a first evening leaves behind: recordings, a bundle, a logged drive, a tub."""
    folder = tmp_path_factory.mktemp("evening")
    with contextlib.chdir(folder):
        for name, seed in (("lap1", 1), ("lap2", 2)):
            as_said(f"record --pilot expert --frames 300 --seed {seed}")
            (made,) = set(Path("recordings").iterdir()) - {Path("recordings/lap1")}
            made.rename(f"recordings/{name}")
        for name in ("mine", "new"):
            shutil.copytree(shipped_bundle(), f"models/{name}")
        shutil.copytree(shipped_bundle("follow"), "models/follow")
        as_said("drive --fast --seconds 2 --log drives --log-frames")
        next(Path("drives").iterdir()).rename("drives/2026-05-01_14-30-00")
        as_said("data export recordings/lap1 --as tub --to tub")
        Path("lap.txt").write_text("move_medium_forward 0.5\nstop 0.2\n")
        Path("mine.py").write_text("from trainer.networks.compact import build\n")
    return folder


_done: set[str] = set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_command_of_the_page(page, evening, tmp_path, monkeypatch):
    found = [(block, line) for block in blocks(page, "sh", "console") for line in block.commands()]
    if any(block.runs and needs_evening(line) for block, line in found):
        shutil.copytree(evening, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").symlink_to(REPOSITORY / "docs")
    for block, line in found:
        check(line, block.runs)


def needs_evening(line: str) -> bool:
    return line.startswith("autcar")


def check(line: str, runs: bool) -> None:
    words = shlex.split(line, comments=True)
    if words[0] == "sudo":
        words = words[1:]
    program, rest = words[0], words[1:]
    if Path(program).name == "autcar":
        words = (
            [word for word in rest if word != ">"] if ">" not in rest else rest[: rest.index(">")]
        )
        arguments = parse(words, line)
        if arguments is None:
            return
        verb = arguments.verb
        away = verb in ON_A_CAR or (verb, getattr(arguments, "action", None)) in ON_A_CAR
        if runs and not away and verb not in LONG and not WITH_A_PERSON & set(words):
            again = verb not in ("record", "data", "config") and line.split("#")[0] in _done
            if not again:
                run(line)
                _done.add(line.split("#")[0])
    elif program == "make":
        makefile = (REPOSITORY / "Makefile").read_text()
        for target in (word for word in rest if "=" not in word):
            assert f"\n{target}:" in makefile, f"{line!r}: the Makefile has no target {target}"
    elif program in ("python", "python3", "bash") and rest[0] != "-m":
        check_script(REPOSITORY / rest[0], rest[1:], line)
    elif program.startswith("scripts/"):
        assert (REPOSITORY / program).is_file(), line
    elif program == "pip" or program.endswith("/pip"):
        check_extras(line)
    elif not (program in KNOWN or rest[:1] == ["-m"]):
        pytest.fail(f"{line!r}: what is {program}? Say in this test how to check it")


KNOWN = {"apt", "cd", "git", "journalctl", "source", "ssh", "sudoedit"}


def parse(words, line):
    try:
        return build_parser().parse_args(words)
    except SystemExit as ended:
        if ended.code == 0:
            return None  # --help or --version, which the parser has answered
        pytest.fail(f"the command line refuses {line!r}")


def on_any_port(path: str | None = None) -> Config:
    config = load_config(path)
    return replace(config, cockpit=replace(config.cockpit, port=0))


def run(line: str) -> None:
    """Run an ``autcar`` command in this process, its output into the file that it names."""
    words = shlex.split(line, comments=True)[1:]
    target = None
    if ">" in words:
        target = words[words.index(">") + 1]
        words = words[: words.index(">")]
    verb = words[0]
    by_expert = verb == "record" and "expert" in words
    small = "--frames 40" if by_expert else SMALL.get(verb, "")
    with contextlib.ExitStack() as stack:
        if target:
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(open(target, "w"))))
        # Pages are tested side by side, and two may drive at once.
        stack.enter_context(mock.patch("edge.drive.load_config", on_any_port))
        code = main([*words, *small.split()])
    assert code == 0 or (code == 1 and verb in MAY_END_BADLY), f"{line!r} ended with {code}"


def check_script(script: Path, options: list[str], line: str) -> None:
    assert script.is_file(), f"{line!r}: there is no {script}"
    asked = [word for word in options if word.startswith("--")]
    if asked:
        shown = subprocess.run(
            [sys.executable, str(script), "--help"], capture_output=True, text=True, check=True
        ).stdout
        assert all(option in shown for option in asked), line


def check_extras(line: str) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for names in re.findall(r"(?:autcar|\.)\[([\w,]+)\]", line):
        for extra in names.split(","):
            assert extra in project["optional-dependencies"], f"{line!r}: no extra {extra}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_settings_and_scripts_of_the_page_are_right(page, tmp_path):
    sections = {field.name for field in fields(Config)}
    for block in blocks(page, "toml"):
        if sections & tomllib.loads(block.text).keys() and "my-board" not in block.text:
            path = tmp_path / "car.toml"
            path.write_text(block.text)
            load_config(path)
    for block in blocks(page, "python"):
        compile(block.text, str(page), "exec")


def test_no_command_hides_from_this_test():
    """Commands stand in blocks marked sh or console, and every block says what it is."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"\n\n    (sudo |\.?\S*/)?autcar ", text), (
            f"{page}: an unmarked block"
        )
        opened = re.findall(r"^```(.*)$", text, re.MULTILINE)[::2]
        assert all(opened), f"{page}: a block without its language"
