"""Which of the found boxes are meant, decided by box geometry after detection.

InstructEdit's Fig. 9 failure is a detector that scores the wrong dog best. So position and size words never
reach the detector: they come as a `Choice` from the plan and are decided here.
"""

from collections.abc import Callable, Sequence

from ..errors import NothingFound, RequestError
from ..values import CHOICES, NTH, Box


def select(boxes: Sequence[Box], which: str | Sequence[str], threshold: float = 0.0) -> tuple[Box, ...]:
    """The boxes that `which` means, in the order of `boxes`.

    `which` is all | best | left | right | middle | top | bottom | largest | smallest | "N from left|right|
    top|bottom", or a list of these whose selections are united. When the boxes answer several phrases, every
    phrase is asked by itself: "the cat and the dog on the left" is the leftmost cat and the leftmost dog,
    and "best" is each phrase's best score. Positions compare box centres; "middle" is the median from left
    to right (of an even number: the one of the two that is nearer to the middle between the outermost). Ties
    go to the better score.

    Raises: NothingFound when a phrase has fewer boxes than N, or when there is no box at all;
    RequestError for a choice that does not exist.
    """
    choices = (which,) if isinstance(which, str) else tuple(which)
    if not choices:
        raise RequestError(f"no choice was given; name one of {', '.join(CHOICES)}")
    if not boxes:
        raise NothingFound(" or ".join(choices), 0.0, threshold)
    phrases = tuple(dict.fromkeys(box.phrase for box in boxes))
    kept: set[int] = set()
    for phrase in phrases:
        group = [i for i, box in enumerate(boxes) if box.phrase == phrase]
        for choice in choices:
            kept.update(_choose(boxes, group, choice, phrase, threshold))
    return tuple(box for i, box in enumerate(boxes) if i in kept)


def _choose(boxes: Sequence[Box], group: list[int], choice: str, phrase: str, threshold: float) -> list[int]:
    """The members of `group` (indices into `boxes`, all of one phrase) that one choice means."""
    if choice == "all":
        return group
    if choice == "middle":
        return [_middle(boxes, group)]
    if nth := NTH.fullmatch(choice):
        number, side = int(nth[1]), nth[2]
        if number > len(group):
            best = max(boxes[i].score for i in group)
            raise NothingFound(f"{phrase} number {number} from {side}".strip(), best, threshold)
        return [sorted(group, key=lambda i: (_RANKS[side](boxes[i]), -boxes[i].score))[number - 1]]
    if choice not in _RANKS:
        raise RequestError(f"{choice!r} is none of {', '.join(CHOICES)} or 'N from left|right|top|bottom'")
    return [min(group, key=lambda i: (_RANKS[choice](boxes[i]), -boxes[i].score))]


def _middle(boxes: Sequence[Box], group: list[int]) -> int:
    order = sorted(group, key=lambda i: (boxes[i].centre[0], -boxes[i].score))
    if len(order) % 2:
        return order[len(order) // 2]
    centre = (boxes[order[0]].centre[0] + boxes[order[-1]].centre[0]) / 2
    pair = order[len(order) // 2 - 1 : len(order) // 2 + 1]
    return min(pair, key=lambda i: (abs(boxes[i].centre[0] - centre), -boxes[i].score))


# The box with the lowest rank is chosen.
_RANKS: dict[str, Callable[[Box], float]] = {
    "best": lambda box: -box.score,
    "left": lambda box: box.centre[0],
    "right": lambda box: -box.centre[0],
    "top": lambda box: box.centre[1],
    "bottom": lambda box: -box.centre[1],
    "largest": lambda box: -box.area,
    "smallest": lambda box: box.area,
}
