"""A page that shows what was measured: the table, and a row of pictures for each case. One file, no other needed."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from PIL import Image

STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
.wide { overflow-x: auto; }
.case { display: flex; gap: .5rem; overflow-x: auto; padding: .5rem 0 1rem; }
figure { margin: 0; flex: none; width: 128px; }
figcaption { font-size: 11px; color: #555; }
img { width: 128px; height: 128px; object-fit: contain; background: #f4f4f4; display: block; }
.none { width: 128px; height: 128px; border: 1px dashed #bbb; box-sizing: border-box; }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #161616; } th, td { border-color: #444; }
  figcaption { color: #aaa; } img { background: #222; } }
"""


@dataclass(frozen=True)
class Shown:
    """One line of pictures by label, under what was said; None where a method refused."""

    said: str
    remark: str
    pictures: Mapping[str, Image.Image | None]


def page(title: str, markdown: str, lines: Sequence[Shown]) -> str:
    """The whole page as HTML."""
    body = [f"<h1>{escape(title)}</h1>", *_blocks(markdown)]
    for line in lines:
        body.append(f"<h3>{escape(line.said)}</h3>" + (f"<p>{escape(line.remark)}</p>" if line.remark else ""))
        body.append(f'<div class="case">{"".join(_figure(*item) for item in line.pictures.items())}</div>')
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"{''.join(body)}</body></html>\n"
    )


def _figure(label: str, picture: Image.Image | None) -> str:
    shown = '<div class="none" role="img" aria-label="refused"></div>'
    if picture is not None:
        small = picture.convert("RGB")
        small.thumbnail((256, 256))
        file = io.BytesIO()
        small.save(file, "PNG", optimize=True)
        data = base64.b64encode(file.getvalue()).decode()
        shown = f'<img loading="lazy" alt="{escape(label)}" src="data:image/png;base64,{data}">'
    return f"<figure>{shown}<figcaption>{escape(label)}</figcaption></figure>"


def _blocks(markdown: str) -> list[str]:
    """Paragraphs and tables of the kind that the tables write; nothing else of the language."""
    blocks, rows = [], list[str]()
    for line in [*markdown.split("\n"), ""]:
        if line.startswith("|"):
            rows.append(line)
            continue
        if rows:
            cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if not row.startswith("|---")]
            head = "".join(f"<th>{escape(cell)}</th>" for cell in cells[0])
            rest = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in cells[1:])
            blocks.append(f'<div class="wide"><table><tr>{head}</tr>{rest}</table></div>')
            rows = []
        if line.strip():
            blocks.append(f"<p>{escape(line)}</p>")
    return blocks
