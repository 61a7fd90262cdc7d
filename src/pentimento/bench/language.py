"""How often a planner is right: phrases, choice and both captions, on phrasings that training never saw."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from math import sqrt

import numpy as np

from ..data.asking import random_asked, random_description, random_words
from ..data.edits import draw_edit
from ..data.words import THIRTY, Asked, phrase
from ..errors import PlanError
from ..language.captions import plan_of
from ..roles import Planner
from ..values import KINDS, Plan


@dataclass(frozen=True)
class Share:
    """`right` of `n`, with the 95 % Wilson interval."""

    right: int
    n: int

    @property
    def share(self) -> float:
        return self.right / self.n if self.n else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval at 95 %, (0, 1) for n = 0."""
        if not self.n:
            return 0.0, 1.0
        z, p, n = 1.959964, self.share, self.n
        centre, spread = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, (centre - spread) / (1 + z * z / n)), min(1.0, (centre + spread) / (1 + z * z / n))

    def to_json(self) -> dict[str, float]:
        low, high = self.interval
        return {"right": self.right, "n": self.n, "share": self.share, "low": low, "high": high}


@dataclass(frozen=True)
class Mistake:
    """One wrong answer: `got` is empty when the planner refused."""

    instruction: str
    description: str
    wanted: tuple[Plan, ...]
    got: tuple[Plan, ...]


@dataclass(frozen=True)
class Score:
    """All, by kind (of the first edit), and what went wrong."""

    all: Share
    kinds: dict[str, Share]
    mistakes: tuple[Mistake, ...]


@dataclass(frozen=True)
class Task:
    """One instruction with its right plans."""

    instruction: str
    description: str
    wanted: tuple[Plan, ...]


def normal(caption: str) -> tuple[str, ...]:
    """A caption's tokens: lower case, no punctuation, "an" is "a"."""
    words = "".join(c if c.isalnum() or c in "'-" else " " for c in caption.lower()).split()
    return tuple("a" if word == "an" else word for word in words)


def same_plan(a: Plan, b: Plan) -> bool:
    """`find` and `which` equal, and both captions token-equal after `normal`."""
    return (
        set(a.find) == set(b.find)
        and a.which == b.which
        and normal(a.before) == normal(b.before)
        and normal(a.after) == normal(b.after)
    )


def tasks(n: int, seed: int, held_out: bool = True, open_nouns: bool = False, group: str = "one") -> tuple[Task, ...]:
    """Test instructions. `group`: "scenes" for edits of test scenes, "one" edit of any words (all kinds equally
    frequent), "two" edits, "pronoun" with a description, "thirty" of the paper.

    With `open_nouns` the things come from the half of the word list that training never saw.
    """
    if group == "thirty":
        return tuple(
            Task(t.text, "", (plan_of(t.words.kind, t.words.find, t.words.which, t.words.new),)) for t in THIRTY
        )
    made = []
    for number in range(n):
        rng = np.random.default_rng([seed, number, 77])
        if group == "two":
            asked = random_asked(rng, test=open_nouns)
            while len(asked.edits) != 2:
                asked = random_asked(rng, test=open_nouns)
        elif group == "pronoun":
            words = random_words(rng, open_nouns, open_nouns, _POINTING)
            while not words.find:
                words = random_words(rng, open_nouns, open_nouns, _POINTING)
            words, pronoun = random_description(words, rng, open_nouns)
            asked = Asked((words,), pronoun)
        elif group == "scenes":
            asked = Asked((draw_edit(seed * 1_000_003 + number, "test").words,))
        else:
            asked = Asked((random_words(rng, open_nouns, open_nouns, (KINDS[number % len(KINDS)],)),))
        said = phrase(asked, rng, held_out)
        wanted = tuple(plan_of(e.kind, e.find, e.which, e.new, said.description) for e in asked.edits)
        made.append(Task(said.text, said.description, tuple(dict.fromkeys(wanted))))
    return tuple(made)


_POINTING = ("replace", "recolour", "material", "add", "remove", "resize", "move")


def score_tasks(planner: Planner, given: tuple[Task, ...]) -> Score:
    """Counts plans that are right in full; a refusal is wrong."""
    right, seen, mistakes = Counter[str](), Counter[str](), []
    for task in given:
        try:
            got = planner.plan(task.instruction, task.description)
        except PlanError:
            got = ()
        kind = task.wanted[0].kind
        seen[kind] += 1
        if len(got) == len(task.wanted) and all(same_plan(a, b) for a, b in zip(got, task.wanted, strict=True)):
            right[kind] += 1
        else:
            mistakes.append(Mistake(task.instruction, task.description, task.wanted, got))
    kinds = {kind: Share(right[kind], seen[kind]) for kind in KINDS if seen[kind]}
    return Score(Share(right.total(), seen.total()), kinds, tuple(mistakes))


def score_planner(
    planner: Planner, n: int = 200, seed: int = 0, held_out: bool = True, open_nouns: bool = False, group: str = "one"
) -> Score:
    """The score of a planner on `n` test instructions of `tasks`."""
    return score_tasks(planner, tasks(n, seed, held_out, open_nouns, group))


def rows(planners: dict[str, Planner], n: int = 200, seed: int = 0) -> list[dict[str, object]]:
    """One row for each planner and group of tasks, JSON-able: name, group, right, n, share, low, high."""
    groups = {
        "test scenes, held-out phrasings": tasks(n, seed, group="scenes"),
        "held-out phrasings": tasks(n, seed),
        "training phrasings": tasks(n, seed, held_out=False),
        "held-out phrasings, unknown nouns": tasks(n, seed, open_nouns=True),
        "held-out phrasings, pronouns with description": tasks(n, seed, group="pronoun"),
        "held-out phrasings, two edits": tasks(n, seed, group="two"),
        "the paper's thirty": tasks(0, seed, group="thirty"),
    }
    table: list[dict[str, object]] = []
    for name, planner in planners.items():
        for group, given in groups.items():
            score = score_tasks(planner, given)
            kinds = {kind: share.to_json() for kind, share in score.kinds.items()}
            table.append({"planner": name, "group": group, **score.all.to_json(), "kinds": kinds})
    return table


def summary(score: Score) -> str:
    """One line: the share with its interval, then every kind's."""
    low, high = score.all.interval
    by_kind = defaultdict(str, {k: f"{k} {s.right}/{s.n}" for k, s in score.kinds.items()})
    return f"{score.all.share:.1%} [{low:.1%}, {high:.1%}] of {score.all.n}: " + ", ".join(
        by_kind[k] for k in score.kinds
    )
