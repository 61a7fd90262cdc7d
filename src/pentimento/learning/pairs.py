"""Folders of before/after pairs, in the layouts that are about."""

import re
from pathlib import Path

from ..errors import RequestError
from ..images import SUFFIXES, open_picture
from ..values import Pair

NUMBERED = re.compile(r"(.+)_([01])")


def read_pairs(folder: Path) -> tuple[Pair, ...]:
    """The pairs in a folder, by name: `{i}_0` and `{i}_1` side by side (Visii), the same below `train/` (TOP-Bench), or
    pictures of equal names in `before/` and `after/`.

    Raises: RequestError when there are none, when a picture has no partner, or when two of a pair differ in size.
    """
    if not folder.is_dir():
        raise RequestError(f"{folder}: there is no such folder; give one with pairs {{i}}_0.png and {{i}}_1.png")
    if (folder / "train").is_dir():
        folder = folder / "train"
    if (folder / "before").is_dir() and (folder / "after").is_dir():
        sides = [{path.stem: path for path in _pictures(folder / name)} for name in ("before", "after")]
    else:
        sides = [{}, {}]
        for path in _pictures(folder):
            if matched := NUMBERED.fullmatch(path.stem):
                sides[int(matched[2])][matched[1]] = path
    lonely = sorted(sides[0].keys() ^ sides[1].keys())
    if lonely:
        raise RequestError(f"{folder}: {lonely[0]!r} is there only before or only after; give both or none")
    if not sides[0]:
        raise RequestError(
            f"{folder}: holds no pairs; wanted {{i}}_0.png and {{i}}_1.png, or the folders before and after"
        )
    names = sorted(sides[0], key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0, name))
    return tuple(_pair(sides[0][name], sides[1][name]) for name in names)


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _pair(before: Path, after: Path) -> Pair:
    pair = Pair(open_picture(before).image, open_picture(after).image)
    if pair.before.size != pair.after.size:
        raise RequestError(
            f"{before} is {pair.before.width}x{pair.before.height} and {after} is "
            f"{pair.after.width}x{pair.after.height}: the two pictures of a pair must have one size"
        )
    return pair
