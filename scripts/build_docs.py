"""Build the documentation's site: ``make docs``. Any warning is an error.

The pages are those of docs/ and of the repository's root, as they stand and as a code
host shows them. On the site README.md is the home page, tables are filled in from the
code, and a link to a file that is no page becomes the file's name.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from scripts.reference import TABLES  # noqa: E402

SITE = REPOSITORY / "site"
ROOT_PAGES = ("README", "ARCHITECTURE", "SAFETY", "SECURITY", "CONTRIBUTING", "CHANGELOG")

_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<target>[^)#\s]*)(?P<anchor>#[^)\s]*)?\)")
_IMAGE = re.compile(r"(?P<before>!\[[^\]]*\]\(|(?:src|srcset)=\")(?P<target>[^)\"\s]+)")
TABLE = re.compile(r"^<!-- table: (.+) -->$(?:\n\n(\|.*(?:\n\|.*)*))?", re.MULTILINE)
"""Where a page wants a table, and the one that stands there for readers on a code host."""


def main() -> int:
    """Assemble the pages below site/, build them, and return the generator's exit code."""
    shutil.rmtree(SITE, ignore_errors=True)
    pages = SITE / "pages"
    shutil.copytree(REPOSITORY / "docs", pages, ignore=shutil.ignore_patterns("*.toml"))
    for path in (*REPOSITORY.glob("docs/**/*.md"), *(REPOSITORY / f"{n}.md" for n in ROOT_PAGES)):
        place = pages / place_of(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(page(path), encoding="utf-8")
    shutil.copy(REPOSITORY / "docs/zensical.toml", SITE)
    build = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    code = subprocess.run(build, cwd=SITE, check=False).returncode
    if code == 0:
        print(f"site: {(SITE / 'html/index.html').as_uri()}")
    return code


def place_of(path: Path) -> Path:
    """Where a Markdown file of the repository stands on the site."""
    if path.parent == REPOSITORY:
        return Path("index.md" if path.stem == "README" else f"{path.stem.lower()}.md")
    return path.relative_to(REPOSITORY / "docs")


def page(path: Path) -> str:
    """A Markdown file of the repository as the site wants it."""
    text = TABLE.sub(lambda found: TABLES[found[1]](), path.read_text(encoding="utf-8"))
    text = _LINK.sub(lambda found: _link(path, found), text)
    return _IMAGE.sub(lambda found: found["before"] + _image(path, found["target"]), text)


def _link(path: Path, found: re.Match[str]) -> str:
    target, anchor = found["target"], found["anchor"] or ""
    if not target or "://" in target or target.startswith("mailto:"):
        return found[0]
    file = (path.parent / target).resolve()
    if not file.exists():
        raise SystemExit(f"{path}: {found[0]} leads nowhere")
    if not (_in_docs(file) or (file.suffix == ".md" and file.parent == REPOSITORY)):
        return found["text"]
    here, there = place_of(path).parent, place_of(file)
    return f"[{found['text']}]({Path(os.path.relpath(there, here)).as_posix()}{anchor})"


def _image(path: Path, target: str) -> str:
    if "://" in target:
        return target
    file = (path.parent / target).resolve()
    if not (file.is_file() and _in_docs(file)):
        raise SystemExit(f"{path}: there is no picture {target} in docs/")
    here = place_of(path).parent
    return Path(os.path.relpath(file.relative_to(REPOSITORY / "docs"), here)).as_posix()


def _in_docs(file: Path) -> bool:
    return file.is_relative_to(REPOSITORY / "docs")


if __name__ == "__main__":
    sys.exit(main())
