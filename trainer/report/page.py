"""The pieces that a report page is made of: one HTML file that needs no network."""

from __future__ import annotations

import html
from collections.abc import Sequence

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; }
p.lead { font-size: 1.15rem; }
img, video { max-width: 100%; height: auto; background: white; border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; }
.scroll { overflow-x: auto; }
.tracks { display: grid; gap: 1rem;
           grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); }
figure { margin: 0 0 1rem; } figcaption { font-size: .9rem; }
"""


def page(title: str, sections: Sequence[str], style: str = "") -> str:
    """The whole file. ``sections`` are HTML, ``style`` further CSS."""
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}{style}</style>"
        + "\n".join(sections)
        + "</html>\n"
    )


def picture(source: str, caption: str) -> str:
    """A picture with its caption, which is also what is read out."""
    text = html.escape(caption)
    return f"<figure><img src='{source}' alt='{text}'><figcaption>{text}</figcaption></figure>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls by itself where it is too wide."""

    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

    lines = row(head, "th") + "".join(row(cells, "td") for cells in rows)
    return f"<div class=scroll><table>{lines}</table></div>"
