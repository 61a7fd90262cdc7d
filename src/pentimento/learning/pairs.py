"""Folders of before/after pairs, in the layouts that are about."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..errors import RequestError
from ..images import MAX_MEGAPIXELS, from_pil, open_picture, pictures_in
from ..values import Pair

NUMBERED = re.compile(r"(.+)_([01])")


@dataclass(frozen=True)
class _Named:
    """A picture and what messages call it."""

    name: str
    image: Image.Image


def read_pairs(folder: Path, max_megapixels: float = MAX_MEGAPIXELS) -> tuple[Pair, ...]:
    """The pairs in a folder, by name: `{i}_0` and `{i}_1` side by side (Visii), the same below `train/` (TOP-Bench), or
    pictures of equal names in `before/` and `after/`.

    Raises: RequestError when there are none, when a picture has another name, no partner or two, or when the two of a
    pair differ in size or in nothing.
    """
    if not folder.is_dir():
        raise RequestError(f"{folder}: there is no such folder; give one with pairs {{i}}_0.png and {{i}}_1.png")
    if (folder / "train").is_dir():
        folder = folder / "train"
    if (folder / "before").is_dir() and (folder / "after").is_dir():
        found = [(i, path.stem, path) for i in (0, 1) for path in pictures_in(folder / ("before", "after")[i])]
    else:
        numbered = [(NUMBERED.fullmatch(path.stem), path) for path in pictures_in(folder)]
        found = [(int(matched[2]), matched[1], path) for matched, path in numbered if matched]
        strays = [path.name for matched, path in numbered if not matched]
        if found and strays:
            raise RequestError(
                f"{folder}: {strays[0]} is no picture of a pair, which are called {{i}}_0.png and {{i}}_1.png: "
                "rename it, or take it away"
            )
    sides: tuple[dict[str, Path], ...] = ({}, {})
    for side, name, path in found:
        if name in sides[side]:
            raise RequestError(f"{sides[side][name]} and {path.name} are two for one place in a pair; take one away")
        sides[side][name] = path
    lonely = sorted(sides[0].keys() ^ sides[1].keys())
    if lonely:
        raise RequestError(f"{folder}: {lonely[0]!r} is there only before or only after; give both or none")
    if not sides[0]:
        raise RequestError(
            f"{folder}: holds no pairs; wanted {{i}}_0.png and {{i}}_1.png, or the folders before and after"
        )
    names = sorted(sides[0], key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))
    return tuple(
        _pair(*(_Named(str(side[name]), open_picture(side[name], max_megapixels).image) for side in sides))
        for name in names
    )


def checked(pairs: Sequence[Pair], name: str = "pair") -> tuple[Pair, ...]:
    """Pairs from memory in RGB, upright. Messages call them by `name` and their number from 1.

    Raises: RequestError when a picture cannot be used, or when the two of a pair differ in size or in nothing.
    """
    return tuple(
        _pair(*(_Named(f"{name} {number}, {side}", getattr(pair, side)) for side in ("before", "after")))
        for number, pair in enumerate(pairs, start=1)
    )


def without_last(pairs: tuple[Pair, ...]) -> tuple[tuple[Pair, ...], Pair]:
    """The pairs to learn from, and the last one, kept out to score what is learned.

    Raises: RequestError when nothing would be left to learn from.
    """
    if len(pairs) < 2:
        raise RequestError("there is one pair, which is learned from: give another, or keep none out")
    return pairs[:-1], pairs[-1]


def _pair(before: _Named, after: _Named) -> Pair:
    one, other = (from_pil(side.image, side.name).image for side in (before, after))
    if one.size != other.size:
        raise RequestError(
            f"{before.name} is {one.width}x{one.height} and {after.name} is {other.width}x{other.height}: "
            "the two pictures of a pair must have one size"
        )
    if one.tobytes() == other.tobytes():
        raise RequestError(f"{before.name} and {after.name} are one picture: there is nothing to learn; leave them out")
    return Pair(one, other)
