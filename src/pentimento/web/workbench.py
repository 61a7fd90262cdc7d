"""What the studio's page can do, in values that a page can show: paths, tables of text, pictures.

All work is that of the façade, so a result from here is the one that the command gives, with the same record inside.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from PIL import Image
from pydantic import ValidationError

from .. import images, studio
from ..data.scenes import draw_scene, render
from ..editors import EDITORS
from ..editors.planned import mask_for, plans_for
from ..errors import PentimentoError, PlanError, RequestError
from ..learning.pairs import read_pairs, without_last
from ..settings import assignments, describe, friendly
from ..values import Plan, Segment

Rows = list[list[str]]
"""A table on the page, as text."""
PLAN_COLUMNS = ["find", "which", "before", "after", "kind", "description"]
SETTING_COLUMNS = ["setting", "value", "wanted", "what it is"]


class Stopped(PentimentoError):
    """The person at the page has pressed Stop."""


@dataclass(frozen=True)
class Asked:
    """What the fields of the page ask for: files as paths, "" or None where a field is empty."""

    picture: str | None
    instruction: str
    method: str
    plans: Rows
    mask: np.ndarray | None
    phrase: str
    learned: str | None
    example: tuple[str | None, str | None]
    settings: Rows
    seed: int
    n: int


@dataclass(frozen=True)
class Workbench:
    """An opened pack and the folder that everything made here is kept in; `told` is what the picture that was clicked
    last is made of, by its file."""

    opened: studio.Studio
    folder: Path
    stop: Event = field(default_factory=Event)
    told: dict[str, tuple[Segment, ...]] = field(default_factory=dict)

    def draw(self, seed: int) -> str:
        """A file with a scene of the drawn world that no model was trained on."""
        path = self.folder / "scenes" / f"scene-{seed}.png"
        images.make_folder(path.parent)
        images.save_picture(path, Image.fromarray(render(draw_scene(seed, "validation"), 256).image))
        return str(path)

    def plan(self, picture: str | None, instruction: str) -> Rows:
        """What the instruction is understood to ask for, a row an edit; as InstructEdit would."""
        seen = _picture(picture)
        studio.check_instruction(instruction)
        editor: Any = studio.make_editor(self.opened, "instructedit", {})
        return rows_of_plans(plans_for(self.opened.pack, instruction, seen.image, editor.description))

    def find(self, picture: str | None, instruction: str, plans: Rows, phrase: str) -> tuple[np.ndarray, Rows]:
        """Where the phrase is, or what the plan means to find, bool (h, w); and the plan."""
        seen = _picture(picture)
        if phrase.strip():
            return studio.find(self.opened, seen, (phrase,)).mask, plans
        asked = plans_of_rows(plans)
        rows = plans if asked else self.plan(picture, instruction)
        asked = asked or plans_of_rows(rows)
        if len(asked) > 1:
            raise RequestError("there are several edits, and each finds its own: say one, or what to find")
        if not asked[0].find:
            raise RequestError("the whole picture is edited: there is nothing to find")
        return mask_for(self.opened.pack, asked[0], seen.image), rows

    def mask(self, picture: str | None, file: str) -> np.ndarray:
        """The mask in a picture file, bool (h, w): white where the edit may act."""
        return images.open_mask(file, _picture(picture).image.size)

    def touch(
        self, picture: str | None, mask: np.ndarray | None, at: tuple[int, int], whole: bool, adds: bool, size: float
    ) -> np.ndarray | None:
        """The mask, bool (h, w), after a click at (x, y): with or without the whole thing there, or a round patch of
        `size` times the picture's shorter side across; None when nothing is left."""
        image = _picture(picture).image
        touched = np.zeros((image.height, image.width), bool) if mask is None else mask
        if whole:
            there = [one.mask for one in self._segments(str(picture), image) if one.mask[at[1], at[0]]]
            if not there:
                raise RequestError("nothing is told apart here: take the brush")
            patch = min(there, key=np.count_nonzero)
        else:
            y, x = np.ogrid[: image.height, : image.width]
            patch = (x - at[0]) ** 2 + (y - at[1]) ** 2 <= (size * min(image.size) / 2) ** 2
        touched = touched | patch if adds else touched & ~patch
        return touched if touched.any() else None

    def _segments(self, picture: str, image: Image.Image) -> tuple[Segment, ...]:
        """What the picture is made of; looked at once, however often it is clicked."""
        found = self.told.get(picture)
        if found is None:
            found = self.opened.pack.panoptic.segments(image)
            self.told.clear()
            self.told[picture] = found
        return found

    def edit(self, asked: Asked, watch: studio.Watch) -> Iterator[tuple[Path, studio.Edited]]:
        """The results, one for each seed, each in its file before the next is begun."""
        self.stop.clear()
        picture = _picture(asked.picture)
        learned = studio.open_learned(asked.learned) if asked.learned else None
        example = example_of(asked.example)
        method = studio.method_for(learned, example, asked.method)
        chosen = {**(learned.learned.scales if learned else {}), **self._changed(method, asked.settings)}
        editor = studio.make_editor(self.opened, method, chosen)
        mask = studio.confined(self.opened, picture, asked.phrase, asked.mask) if asked.phrase.strip() else asked.mask
        plans = plans_of_rows(asked.plans) if "plan" in EDITORS[method].works_from else ()
        edits = studio.variants(
            self.opened, editor, method, picture, asked.instruction.strip(), range(asked.seed, asked.seed + asked.n),
            mask, plans, watch=self._stoppable(watch), learned=learned, example=example,
        )  # fmt: skip
        for edited in edits:
            yield self._kept(edited), edited

    def compare(
        self, asked: Asked, methods: Sequence[str], watch: studio.Watch
    ) -> Iterator[tuple[str, Path | PentimentoError]]:
        """What each method makes of the same words, with the pack's own settings; or why it cannot."""
        if not methods:
            raise RequestError("choose the methods to compare")
        self.stop.clear()
        picture = _picture(asked.picture)
        studio.check_instruction(asked.instruction)
        for method in methods:
            try:
                editor = studio.make_editor(self.opened, method, {})
                plans = plans_of_rows(asked.plans) if "plan" in EDITORS[method].works_from else ()
                mask = asked.mask if "mask" in EDITORS[method].works_from else None
                edits = studio.variants(
                    self.opened, editor, method, picture, asked.instruction, (asked.seed,), mask, plans,
                    watch=self._stoppable(watch),
                )  # fmt: skip
                yield method, self._kept(next(edits))
            except Stopped:
                raise
            except PentimentoError as error:
                yield method, error

    def learn(
        self, files: Sequence[str], name: str, method: str, words: str, minutes: float, hold_out: bool
    ) -> studio.LearnedFile:
        """An instruction learned from pictures called {i}_0 and {i}_1, in a file of this name; the same goes on."""
        if not name.strip() or Path(name).name != name:
            raise RequestError('give what is learned a name, such as "snow"')
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            for file in files:
                if (Path(folder) / Path(file).name).exists():
                    raise RequestError(f"there are two pictures called {Path(file).name}: rename one")
                shutil.copyfile(file, Path(folder) / Path(file).name)
            pairs = read_pairs(Path(folder))
        pairs, kept = without_last(pairs) if hold_out else (pairs, None)
        said = {"instruction": words.strip()} if words.strip() else {}
        return studio.learn(
            pairs, self.folder / f"{name}.safetensors", method=method, held_out=kept, pack=self.opened.source,
            device=self.opened.device, dtype=self.opened.dtype, minutes=minutes, **said,
        )  # fmt: skip

    def again(self, result: str | None, watch: studio.Watch) -> tuple[Path, studio.Edited, bool]:
        """The edit in a result's record done once more, and whether every pixel is the same."""
        if not result:
            raise RequestError("give a result: a PNG that an edit has written")
        self.stop.clear()
        edited, same = studio.again(result, watch=self._stoppable(watch))
        return self._kept(edited), edited, same

    def settings(self, method: str) -> Rows:
        """A method's settings with their values in this pack."""
        defaults = self.opened.pack.defaults.get(method, {})
        return [
            [one.name, _text(defaults.get(one.name, one.default)), one.wanted, one.about]
            for one in describe(EDITORS[method])
        ]

    def _changed(self, method: str, rows: Rows) -> dict[str, Any]:
        """The settings of a method that a person has changed, as text."""
        before = {name: value for name, value, *_ in self.settings(method)}
        return assignments(f"{name}={value}" for name, value, *_ in rows if value != before.get(name))

    def _stoppable(self, watch: studio.Watch) -> studio.Watch:
        def looked(doing: str, done: int, total: int) -> None:
            if self.stop.is_set():
                raise Stopped("stopped")
            watch(doing, done, total)

        return looked

    def _kept(self, edited: studio.Edited) -> Path:
        """The result in a file that was not there before."""
        record = edited.record
        stem = f"{Path(record.input).stem or 'picture'}-{record.method}-{record.seed}"
        names = (f"{stem}{f'-{k}' if k else ''}.png" for k in range(1_000_000))
        path = next(self.folder / name for name in names if not (self.folder / name).exists())
        studio.save(edited, path)
        return path


def rows_of_plans(plans: Sequence[Plan]) -> Rows:
    """Plans as a table of PLAN_COLUMNS."""
    return [
        [
            ", ".join(one.find), one.which if isinstance(one.which, str) else " + ".join(one.which),
            one.before, one.after, one.kind, one.description,
        ]
        for one in plans
    ]  # fmt: skip


def plans_of_rows(rows: Rows) -> tuple[Plan, ...]:
    """The plans in a table of PLAN_COLUMNS; empty rows are none.

    Raises:
        PlanError: a field is missing or wrong.
    """
    plans = []
    for number, row in enumerate((row for row in rows if any(_text(cell).strip() for cell in row)), start=1):
        find, which, before, after, kind, description = (_text(cell).strip() for cell in row)
        choices = tuple(one.strip() for one in which.split("+"))
        fields: dict[str, Any] = {
            "find": [phrase.strip() for phrase in find.split(",") if phrase.strip()],
            "which": (choices[0] or "best") if len(choices) == 1 else choices,
            "before": before,
            "after": after,
            "kind": kind,
            "description": description,
        }
        try:
            plans.append(Plan.model_validate(fields))
        except ValidationError as error:
            raise PlanError(f"the plan's row {number}: {friendly(error)}") from None
    return tuple(plans)


def masked(picture: str | None, mask: np.ndarray | None) -> Image.Image | None:
    """The picture, in pale grey where the edit may not act when there is a mask."""
    if picture is None:
        return None
    image = _picture(picture).image
    return image if mask is None else images.tinted(image, mask)


def _picture(path: str | None) -> images.Picture:
    if not path:
        raise RequestError("give a picture first")
    return images.open_picture(path)


def example_of(files: tuple[str | None, str | None]) -> studio.Example | None:
    before, after = files
    if before and after:
        return studio.open_example(before, after)
    if before or after:
        raise RequestError("an example has two pictures: give the one before and the one after")
    return None


def _text(value: object) -> str:
    """A value as the command's --set takes it."""
    if value is None:
        return ""
    if isinstance(value, bool | list | tuple | dict):
        return json.dumps(value)
    return str(value)
