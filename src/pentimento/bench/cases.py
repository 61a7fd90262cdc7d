"""What Table 1 of InstructEdit is measured on: pictures with an instruction, and as much of the truth as there is.

Drawn cases know everything; a folder of one's own knows pictures and words; the published sets lie in between. An
editor gets `image` and `instruction` and nothing else (see `Case.asked`).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..data.judging import belief
from ..data.thirty import THIRTY, draw_thirty
from ..data.words import instruction
from ..errors import RequestError
from ..images import open_mask, open_picture
from ..values import Plan, Request
from ..vision.judge import Judge
from .tasks import Task, draw_of

Kinds = tuple[tuple[str, ...], bool]
TYPES: Mapping[str, tuple[Kinds, ...]] = {
    "objects": ((("replace",), False),),
    "attributes": ((("recolour",), False), (("material",), False)),
    "one of several": ((("replace",), True), (("recolour",), True)),
}
"""The editing types of Sec. 4.1: another object, another attribute, and edits restricted to some of several."""


_STRATA = tuple((group, kinds) for group, options in TYPES.items() for kinds in options)


@dataclass(frozen=True)
class Case:
    """One picture and one instruction. All else is truth, for scoring alone, and None or "" where it is not known.

    `before`, `after` are captions; `truth` uint8 (h, w, 3) the picture after; `region` bool (h, w) where it may differ;
    `target` bool (h, w) what the words mean; `judged` how much a judge believes in a decoded picture, in [0, 1].
    """

    name: str
    group: str
    image: Image.Image
    instruction: str
    before: str = ""
    after: str = ""
    truth: np.ndarray | None = None
    region: np.ndarray | None = None
    target: np.ndarray | None = None
    plan: Plan | None = None
    judged: Callable[[Judge, np.ndarray], float] | None = None
    remark: str = ""

    def asked(self, help: frozenset[str] = frozenset()) -> Request:
        """What a row asks its editor: pixels and words, and of the truth exactly what `help` names."""
        return Request(
            self.image.copy(),
            self.instruction,
            plan=self.plan if "plan" in help else None,
            mask=self.target if "mask" in help else None,
        )


def thirty(seed: int = 0) -> tuple[Case, ...]:
    """The paper's thirty instructions (Fig. 4, 12, 13) as drawn scenes; `remark` says what stands in for what."""
    cases = []
    for i in range(len(THIRTY)):
        drawn = draw_thirty(i, seed)
        cases.append(
            Case(
                f"thirty-{i:02d}", "the thirty", Image.fromarray(drawn.before), drawn.text,
                drawn.plan.before, drawn.plan.after, drawn.after, drawn.mask | drawn.target, drawn.target, drawn.plan,
                remark=drawn.stand_in,
            )
        )  # fmt: skip
    return tuple(cases)


def drawn(n: int, seed: int = 0) -> tuple[Case, ...]:
    """`n` test scenes of the three editing types in turn, in held-out phrasings: a function of n and the seed."""
    cases = []
    for number in range(n):
        group = tuple(TYPES)[number % len(TYPES)]
        options = TYPES[group]
        kinds, choosing = options[number // len(TYPES) % len(options)]
        cases.append(case_of(draw_of(number, seed, kinds, choosing), group))
    return tuple(cases)


def phrased(n: int, ways: int, seed: int = 0) -> tuple[Case, ...]:
    """`n` drawn scenes, each said in several ways (Fig. 6), side by side; a way is a group."""
    cases = []
    for number, (group, (kinds, choosing)) in zip(range(n), cycle(_STRATA), strict=False):
        task = draw_of(number, seed, kinds, choosing)
        for way in range(ways):
            said = instruction(task.edit.words, np.random.default_rng([seed, number, way, 606]), held_out=True)
            cases.append(case_of(replace(task, instruction=said), f"said {way + 1}"))
            cases[-1] = replace(cases[-1], name=f"{group.replace(' ', '-')}-{number:04d}-said-{way + 1}")
    return tuple(cases)


def case_of(task: Task, group: str) -> Case:
    """A drawn task as a case."""
    truth = task.truth

    def judged(judge: Judge, picture: np.ndarray) -> float:
        return belief(judge, task.edit, picture)

    return Case(
        f"{group.replace(' ', '-')}-{task.number:04d}", group, Image.fromarray(truth.before), task.instruction,
        task.wanted.before, task.wanted.after, truth.after, truth.mask | truth.target, truth.target, task.wanted,
        judged,
    )  # fmt: skip


# Pictures of one's own, and the published sets in their own layouts


def read_cases(folder: Path) -> tuple[Case, ...]:
    """The cases in a folder: PIE-Bench (mapping_file.json), MagicBrush (edit_turns.json), or one's own
    (instructions.jsonl beside the pictures).

    Raises: RequestError when it is none of them, or a line or file of it is wrong.
    """
    readers = {"mapping_file.json": _pie_bench, "edit_turns.json": _magicbrush, "instructions.jsonl": _own}
    for name, read in readers.items():
        if (folder / name).is_file():
            cases = read(folder)
            if not cases:
                raise RequestError(f"{folder / name} names no pictures: add a line for each")
            return cases
    raise RequestError(
        f"{folder} holds no cases: wanted one of {', '.join(readers)}; one's own pictures need instructions.jsonl with "
        'lines such as {"picture": "cat.png", "instruction": "make the cat a tiger"}'
    )


def _own(folder: Path) -> tuple[Case, ...]:
    """Lines {"picture", "instruction"} and, where known, "before", "after" (captions), "truth", "mask" (files)."""
    cases = []
    path = folder / "instructions.jsonl"
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            picture, instruction = entry["picture"], entry["instruction"]
        except (ValueError, KeyError, TypeError):
            raise RequestError(f'{path}, line {number}: wanted {{"picture": file, "instruction": words}}') from None
        cases.append(_case(folder, f"{number:04d}", "pictures", picture, instruction, entry))
    return tuple(cases)


def _pie_bench(folder: Path) -> tuple[Case, ...]:
    """PIE-Bench: annotation_images/, captions with the changed words in brackets, masks as run lengths at 512 x 512."""
    cases = []
    for name, entry in _table(folder / "mapping_file.json").items():
        try:
            picture = open_picture(folder / "annotation_images" / entry["image_path"]).image
            mask = _run_lengths(entry["mask"], picture.size)
            before, after = (
                str(entry[key]).replace("[", "").replace("]", "") for key in ("original_prompt", "editing_prompt")
            )
            group = f"type {entry['editing_type_id']}"
            case = Case(
                name, group, picture, str(entry["editing_instruction"]), before, after, region=mask, target=mask
            )
        except (KeyError, ValueError, TypeError) as error:
            raise RequestError(f"{folder / 'mapping_file.json'}: entry {name!r} is not PIE-Bench's ({error})") from None
        cases.append(case)
    return tuple(cases)


def _run_lengths(pairs: list[int], size: tuple[int, int], side: int = 512) -> np.ndarray:
    """PIE-Bench's masks: starts and lengths over the rows of a side x side frame, whose border counts as masked."""
    flat = np.zeros(side * side, dtype=bool)
    for start, length in zip(pairs[::2], pairs[1::2], strict=True):
        flat[start : start + length] = True
    frame = flat.reshape(side, side)
    frame[[0, -1]], frame[:, [0, -1]] = True, True
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.NEAREST))


def _magicbrush(folder: Path) -> tuple[Case, ...]:
    """MagicBrush: edit_turns.json, global_descriptions.json, and images/ID/ with inputs, outputs and masks."""
    captions: Mapping[str, Mapping[str, str]] = {}
    if (folder / "global_descriptions.json").is_file():
        captions = _table(folder / "global_descriptions.json")
    cases = []
    for turn in _rows(folder / "edit_turns.json"):
        try:
            source, target, instruction = turn["input"], turn["output"], turn["instruction"]
            identity = source.split("-")[0]
        except (KeyError, AttributeError, TypeError):
            raise RequestError(
                f"{folder / 'edit_turns.json'}: a turn lacks input, output or instruction: download it again"
            ) from None
        said = captions.get(identity, {})
        if not isinstance(said, dict):
            raise RequestError(
                f"{folder / 'global_descriptions.json'}: {identity!r} has no captions: download it again"
            )
        entry = {"before": said.get(source, ""), "after": said.get(target, ""), "truth": f"images/{identity}/{target}"}
        if "mask" in turn:
            entry["mask"] = f"images/{identity}/{turn['mask']}"
        cases.append(_case(folder, target, "MagicBrush", f"images/{identity}/{source}", instruction, entry))
    return tuple(cases)


def _case(folder: Path, name: str, group: str, picture: Any, instruction: Any, entry: Mapping[str, Any]) -> Case:
    files = {"picture": picture, **{key: entry[key] for key in ("truth", "mask") if entry.get(key)}}
    for key, file in files.items():
        if not isinstance(file, str):
            raise RequestError(f"{folder}, case {name}: its {key} is {file!r}; wanted the name of a file")
    image = open_picture(folder / picture).image
    truth = open_picture(folder / files["truth"]).image if "truth" in files else None
    mask = _mask(folder / files["mask"], image.size) if "mask" in files else None
    return Case(
        name, group, image, str(instruction), str(entry.get("before", "")), str(entry.get("after", "")),
        np.asarray(truth.resize(image.size)) if truth else None, mask, mask,
    )  # fmt: skip


def _mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """White is masked; MagicBrush makes the masked part transparent instead."""
    alpha = open_picture(path).alpha
    if alpha is None:
        return open_mask(path, size)
    return np.asarray(alpha.resize(size, Image.Resampling.NEAREST)) < 128


def _table(path: Path) -> dict[str, Any]:
    read = _read(path)
    if not isinstance(read, dict):
        raise RequestError(f"{path} is no table of entries: download it again")
    return read


def _rows(path: Path) -> list[Any]:
    read = _read(path)
    groups = list(read.values()) if isinstance(read, dict) else [read]  # some copies group the turns by picture
    if not all(isinstance(turns, list) for turns in groups):
        raise RequestError(f"{path} is no list of turns: download it again")
    return [turn for turns in groups for turn in turns]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RequestError(f"{path} is no JSON ({error}): download it again") from None
