"""What InstructGIE's tables are measured on: an example pair, a picture, and one instruction that fits both.

Drawn cases know the exact picture after, a set on disk the one that it was made with. An editor gets `asked` and
nothing else of a case.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice, zip_longest
from pathlib import Path

import numpy as np
from PIL import Image

from ..data.edits import render_edit
from ..data.grid_folders import ABOUT
from ..data.grouped import DrawnGroup, draw_group
from ..data.judging import belief, questions
from ..data.segments import living
from ..data.visual_prompts import Layout
from ..data.words import instruction
from ..errors import RequestError
from ..images import open_picture
from ..language.groups import EDIT_KINDS
from ..values import Pair, Request
from ..vision.judge import Judge
from .cases import Case

WITHHELD = Layout().withheld
KINDS_OF: Mapping[str, tuple[str, ...]] = {
    "in_domain": tuple(kind for kind in EDIT_KINDS if kind not in WITHHELD),
    "out_of_domain": WITHHELD,
}
"""The kinds of edit of the two domains (InstructGIE Fig. 5, 6)."""
SEEDS_A_RUN = 1_000_000


@dataclass(frozen=True)
class VisualCase:
    """A case with the example that stands beside it. `case.group` is the kind of edit; `seed` that of the sampling.

    `region`, bool (h, w), is where the truth may differ, None where that is not known; settings are chosen by it.
    `living`, bool (h, w), is where the truth shows living creatures, None where it shows none or that is not known.
    `again` is the instruction in other words, "" where there are none.
    """

    case: Case
    example: Pair
    domain: str
    seed: int
    region: np.ndarray | None = None
    living: np.ndarray | None = None
    again: str = ""

    def asked(self) -> Request:
        """What every method is asked: pixels, words and a seed."""
        example = Pair(self.example.before.copy(), self.example.after.copy())
        return replace(self.case.asked(), pairs=(example,), seed=self.seed)

    def said_again(self) -> "VisualCase":
        """The same case, said in its other words."""
        return replace(self, case=replace(self.case, instruction=self.again))


def drawn(n: int, seed: int = 0) -> tuple[VisualCase, ...]:
    """`n` test cases, in and out of the domain in turn, in held-out phrasings; each a function of number and seed."""
    return tuple(draw_case(number, seed, tuple(KINDS_OF)[number % len(KINDS_OF)]) for number in range(n))


def draw_case(number: int, seed: int, domain: str, split: str = "test", held_out: bool = True) -> VisualCase:
    """Case `number` of a domain: every other number is another of its kinds."""
    kinds = KINDS_OF[domain]
    kind = kinds[number // len(KINDS_OF) % len(kinds)]
    return case_of(draw_group(seed, number, split, kinds=(kind,)), number, seed, domain, held_out)


def case_of(group: DrawnGroup, number: int, seed: int, domain: str, held_out: bool = True) -> VisualCase:
    """A drawn group as a case: the first of its edits is the example, the second the picture and its truth.

    `judged` is None for what a judge has no question about, an action.
    """
    example, edit = (render_edit(one, Layout().quadrant) for one in group.edits[:2])
    rng = np.random.default_rng([seed, number, 515])
    said = again = instruction(group.edits[1].words, rng, held_out)
    while again == said:
        again = instruction(group.edits[1].words, rng, held_out)
    captions = group.group.pairs[1]

    def judged(judge: Judge, picture: np.ndarray) -> float:
        return belief(judge, group.edits[1], picture)

    case = Case(
        f"{domain}-{number:04d}", group.group.kind, Image.fromarray(edit.before), said, captions.before, captions.after,
        edit.after, judged=judged if questions(group.edits[1]) else None,
    )  # fmt: skip
    pair = Pair(Image.fromarray(example.before), Image.fromarray(example.after))
    alive = living(group.edits[1].after, Layout().quadrant)
    return VisualCase(
        case, pair, domain, SEEDS_A_RUN * seed + number, edit.mask | edit.target, alive if alive.any() else None, again
    )


def digest(folder: Path) -> str:
    """A short name for what a set of visual prompts holds: how it was made, and the lines of its test grids."""
    files = [folder / ABOUT, *(folder / "grids" / domain / "test" / "metadata.jsonl" for domain in KINDS_OF)]
    content = b"".join(file.read_bytes() for file in files if file.is_file())
    return hashlib.sha256(content).hexdigest()[:12]


def read_cases(folder: Path, n: int, seed: int = 0) -> tuple[VisualCase, ...]:
    """The first `n` test grids of a set of visual prompts (`data.grid_folders`), in and out of the domain in turn.

    Raises: RequestError when there are none, or a line or picture of them is wrong.
    """
    domains = [_grids(folder / "grids" / domain / "test", domain) for domain in KINDS_OF]
    turns = (case for case in chain.from_iterable(zip_longest(*domains)) if case is not None)
    cases = tuple(replace(case, seed=SEEDS_A_RUN * seed + i) for i, case in enumerate(islice(turns, n)))
    if not cases:
        raise RequestError(
            f"{folder} holds no visual prompts to test on: make some with 'pentimento make visual-prompts {folder}'"
        )
    return cases


def _grids(folder: Path, domain: str) -> Iterator[VisualCase]:
    lines = folder / "metadata.jsonl"
    if not lines.is_file():
        return
    for number, line in enumerate(lines.read_text(encoding="utf-8").splitlines(), 1):
        try:
            said = json.loads(line)
            name, words, kind, before, after = (
                str(said[key]) for key in ("file_name", "instruction", "kind", "caption_before", "caption_after")
            )
        except (ValueError, KeyError, TypeError):
            raise RequestError(f"{lines}, line {number}: is no grid of visual prompts; make the set again") from None
        grid = open_picture(folder / name).image.convert("RGB")
        side = grid.width // 2
        shown = [grid.crop((x, y, x + side, y + side)) for y in (0, side) for x in (0, side)]
        case = Case(Path(name).stem, kind, shown[2], words, before, after, np.asarray(shown[3]))
        yield VisualCase(case, Pair(shown[0], shown[1]), domain, 0)
