"""Draw the three atlases of data/art from their openly licensed sources (run once; the atlases are committed).

    python runs/artwork.py NOTO_TTF FLUENT_FLAT_DIR TWEMOJI_DIR

Sources: NotoColorEmoji.ttf (SIL OFL 1.1; Debian's fonts-noto-color-emoji), Fluent Emoji, flat style (MIT),
Twemoji (CC-BY 4.0). Needs cairosvg, which the library itself does not.
"""

import io
import json
import sys
import unicodedata
from pathlib import Path

import cairosvg
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pentimento.data.vocabulary import NOUNS

CELL, COLUMNS = 96, 10
FLUENT = {  # where the file's name is neither the glyph's Unicode name nor the noun
    "sheep": "ewe", "lamp": "light-bulb", "gift": "wrapped-gift", "heart": "red-heart", "boy": "boy-default",
    "girl": "girl-default", "man": "man-default", "woman": "woman-default", "astronaut": "woman-astronaut-default",
}  # fmt: skip


def fitted(glyph: Image.Image) -> Image.Image:
    """The glyph cropped to what it covers and fitted into a cell with one clear pixel around."""
    glyph = glyph.crop(glyph.getchannel("A").point(lambda a: 255 * (a > 8)).getbbox())
    scale = (CELL - 2) / max(glyph.size)
    size = (max(1, round(glyph.width * scale)), max(1, round(glyph.height * scale)))
    cell = Image.new("RGBA", (CELL, CELL))
    cell.paste(glyph.resize(size, Image.Resampling.LANCZOS), ((CELL - size[0]) // 2, CELL - 1 - size[1]))
    return cell


def noto(font: ImageFont.FreeTypeFont, emoji: str) -> Image.Image:
    canvas = Image.new("RGBA", (180, 180))
    ImageDraw.Draw(canvas).text((20, 20), emoji, font=font, embedded_color=True)
    return canvas


def svg(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(cairosvg.svg2png(url=str(path), output_width=256, output_height=256))).convert("RGBA")


def fluent_path(folder: Path, name: str, emoji: str) -> Path:
    base = unicodedata.name(emoji[0]).lower().replace(" ", "-")
    names = [FLUENT.get(name, ""), base, name, base.replace("-face", ""), f"{name}-face", f"oncoming-{name}"]
    return next(folder / f"{n}.svg" for n in names if n and (folder / f"{n}.svg").exists())


def twemoji_path(folder: Path, emoji: str) -> Path:
    codes = [f"{ord(c):x}" for c in emoji]
    names = ["-".join(codes), "-".join(c for c in codes if c != "fe0f")]
    return next(folder / f"{n}.svg" for n in names if (folder / f"{n}.svg").exists())


def main(ttf: str, fluent: str, twemoji: str) -> None:
    out = Path(__file__).parent.parent / "src/pentimento/data/art"
    font = ImageFont.truetype(ttf, 109)
    nouns = [n for n in NOUNS.values() if n.emoji]
    sources = {
        "noto": lambda n: noto(font, n.emoji),
        "fluent": lambda n: svg(fluent_path(Path(fluent), n.name, n.emoji)),
        "twemoji": lambda n: svg(twemoji_path(Path(twemoji), n.emoji)),
    }
    rows = -(-len(nouns) // COLUMNS)
    for family, draw in sources.items():
        atlas = Image.new("RGBA", (COLUMNS * CELL, rows * CELL))
        for i, noun in enumerate(nouns):
            atlas.paste(fitted(draw(noun)), (i % COLUMNS * CELL, i // COLUMNS * CELL))
        pixels = np.array(atlas)
        pixels[pixels[..., 3] == 0] = 0  # hidden colours cost bytes
        Image.fromarray(pixels).save(out / f"{family}.png", optimize=True)
    (out / "index.json").write_text(json.dumps({n.name: i for i, n in enumerate(nouns)}, indent=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
