"""How people ask for edits: templates only, all of them for training; those that test stand in `held_out`.

A template is literal text with [either|or] and {slots}; "!" marks an imperative, which may stand behind "could you".
Slots: {x} the thing with article and choice ("the second cat from the left"), {n} its bare phrase, {y} what is new
with its article, {c} a bare colour or material, {cx} "a yellow bus" for the same thing in another look, {one} "a red
one", {m} the stuff ("wood"); the others are spelled out in `words.FORMS`. Most training sentences are put together
from the parts (`composing`). No template, and no pattern of function words with slots, stands in `held_out` too.

The templates themselves, a line each, stand in `phrasings.toml`.
"""

import hashlib
import tomllib
from importlib.resources import files

_TEXT = (files(__package__) / "phrasings.toml").read_text("utf-8")
_WRITTEN = tomllib.loads(_TEXT)
DIGEST = hashlib.sha256(_TEXT.encode()).hexdigest()[:12]
"""Names what is written there: for files of sentences that were made from it."""


def _by_key(name: str) -> dict[str, tuple[str, ...]]:
    return {key: tuple(templates) for key, templates in _WRITTEN[name].items()}


TRAIN = _by_key("train")
"""Whole templates of each group of edits."""
SELECTORS = _by_key("selectors")
"""How a thing is chosen among several."""
LINKS = tuple[str, ...](_WRITTEN["links"])
"""Stand between two choices."""
WRAPPERS = tuple[str, ...](_WRITTEN["wrappers"])
"""Stand around imperatives."""
NEUTRAL_WRAPPERS = tuple[str, ...](_WRITTEN["neutral_wrappers"])
"""Stand around anything."""
JOINERS = tuple[str, ...](_WRITTEN["joiners"])
"""Stand around two edits."""
GAPPED = tuple[str, ...](_WRITTEN["gapped"])
"""Two edits with one verb; {o} is what the thing becomes."""
GAPS = tuple[tuple[str, str], ...]((first, second) for first, second in _WRITTEN["gaps"])
"""The same in two halves, which one of `GAP_LINKS` joins."""
GAP_LINKS = tuple[str, ...](_WRITTEN["gap_links"])
FRAMES = tuple[str, ...](_WRITTEN["frames"])
"""Stand around one of `CLAUSES`: {s} is its subject, <do> its predicate in this form of the verb."""
CLAUSES = _by_key("clauses")
"""Each "subject | bare predicate"."""
RESULT_FRAMES = tuple[str, ...](_WRITTEN["result_frames"])
"""Stand around one of `RESULTS`."""
RESULTS = _by_key("results")
"""What is to be seen in the end."""
TOPICS = tuple[str, ...](_WRITTEN["topics"])
"""Name the thing; one of `REMARKS`, {r}, says what is to be done with it."""
WHOLE_TOPICS = tuple[str, ...](_WRITTEN["whole_topics"])
"""The same for whole pictures."""
REMARKS = _by_key("remarks")
