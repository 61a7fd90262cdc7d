"""Which tokens of one caption stand for the same words as which tokens of another."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from ..values import Word

NEW = -1
"""In place of a place: nothing in the first caption stands for this token."""


def places(before: Sequence[Word], after: Sequence[Word], tokens: int) -> tuple[int, ...]:
    """For each of the `tokens` places of the caption after, its place in the caption before, or NEW.

    Words that both captions have in the same order are common; the words between them are new (Prompt-to-Prompt,
    Hertz et al. 2022, Sec. 3.2: prompt refinement). The beginning of the text is common, and so are its end and the
    padding, counted from the end of the words, as in the authors' code.
    """
    found = [0] + [NEW] * (tokens - 1)
    one, other = ([(word.text, word.stop - word.start) for word in words] for words in (before, after))
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    for block in matcher.get_matching_blocks():
        for i in range(block.size):
            source, target = before[block.a + i], after[block.b + i]
            found[target.start : target.stop] = range(source.start, source.stop)
    ends = [words[-1].stop if words else 1 for words in (before, after)]
    for place in range(ends[1], tokens):
        same = place - ends[1] + ends[0]
        found[place] = same if same < tokens else NEW
    return tuple(found)
