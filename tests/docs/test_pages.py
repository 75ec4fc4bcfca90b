"""No dead link, no page that the site's menu lacks, every table known and made."""

import re
import tomllib
from pathlib import Path

import pytest

from scripts.build_docs import ROOT_PAGES, TABLE, page
from scripts.reference import TABLES
from tests.conftest import REPOSITORY
from tests.faults.scenarios import SCENARIOS

PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])
OTHERS = sorted(REPOSITORY.glob("examples/**/*.md"))

_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts and the site make them."""
    heads = re.findall(r"^#+ (.+)$", _CODE.sub(_bare, path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def _bare(code: re.Match[str]) -> str:
    return "" if code[0].startswith("```") else code[0].strip("`")


@pytest.mark.parametrize("path", [*PAGES, *OTHERS], ids=name)
def test_no_link_is_dead(path):
    for pair in _LINK.findall(_CODE.sub("", path.read_text("utf-8"))):
        target, _, anchor = "".join(pair).partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), f"{name(path)} links to {target}, which is not there"
        assert not anchor or anchor in anchors(file), f"{name(path)}: {target} has no #{anchor}"


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_the_site_takes_the_page(path, monkeypatch):
    monkeypatch.setattr(
        "scripts.build_docs.TABLES", {known: lambda: "| a |\n| --- |" for known in TABLES}
    )
    assert page(path).startswith("# ")


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_tests_that_are_named_are_there(path):
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?", path.read_text("utf-8"))
    for file, function in named:
        assert (REPOSITORY / file).is_file(), f"{name(path)} names {file}"
        text = (REPOSITORY / file).read_text("utf-8")
        assert not function or f"def {function}(" in text, (
            f"{name(path)}: {file} has no {function}"
        )


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_a_table_that_stands_in_a_page_is_as_the_code_makes_it(path):
    for made, stands in TABLE.findall(path.read_text("utf-8")):
        assert not stands or stands == TABLES[made](), f"{name(path)}: write the new table there"


def test_safetys_promises_are_those_that_are_tested():
    rows = re.findall(
        r"\| `([^`]+)` \| (\d+) ms \|", (REPOSITORY / "SAFETY.md").read_text("utf-8")
    )
    assert dict(rows) == {one.name: str(one.promise_ms) for one in SCENARIOS}


def test_the_menu_has_every_page():
    config = tomllib.loads((REPOSITORY / "docs/zensical.toml").read_text("utf-8"))

    def places(entry):
        if isinstance(entry, str):
            return [entry]
        return [
            place
            for one in (entry.values() if isinstance(entry, dict) else entry)
            for place in places(one)
        ]

    listed = places(config["project"]["nav"])
    pages = [
        str(path.relative_to(REPOSITORY / "docs")) for path in REPOSITORY.glob("docs/**/*.md")
    ]
    pages += ["index.md" if root == "README" else f"{root.lower()}.md" for root in ROOT_PAGES]
    assert sorted(listed) == sorted(pages)
    assert {path.stem for path in REPOSITORY.glob("*.md")} == set(ROOT_PAGES)


@pytest.mark.parametrize("made", sorted(TABLES.keys() - {"networks"}))
def test_tables_are_made(made):
    text = TABLES[made]()
    assert text.count("\n") > 4
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(re.match(r"^\| .* \|$", row) for row in rows)
