"""A planner by regular expressions: the baseline beside the trained one, and a fall-back that needs no weights.

It peels off politeness, tries the patterns of each kind in order, and reads the noun phrase with a small grammar of
articles, positions, sizes and ordinals.
"""

# ruff: noqa: E501 - one pattern a line reads best

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import PlanError
from ..values import Kind, Plan
from . import lexicon
from .captions import plan_of, tidy

_POLITE = re.compile(
    r"^(?:please|kindly|hey|hi|hello|ok|okay|now|then|next|also|just|maybe|well|first|and|if possible|one more thing|"
    r"in (?:this|the) (?:photo|picture|image)|edit the (?:photo|picture|image)|go ahead and|try to|let's|let us|do me a favou?r and|"
    r"(?:could|can|would|will) (?:you|we)(?: please| be so kind as to)?|would it be possible to|"
    r"how about we|i(?:'d| would) like (?:you )?to(?! see| have)|i (?:want|need) you to|you should|"
    r"it would be (?:great|nice) if you could|i was wondering whether you could|my request is to)\b[\s,:!]*"
)
_TRAILING = re.compile(
    r"[\s,]*(?:please|thanks|thank you|for me|now|in the picture|if you do not mind|if you don't mind)$|[\s.!?]+$"
)
_X, _Y = r"(?P<x>.+?)", r"(?P<y>.+)"
_NUMBERS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "fifth": 5, "5th": 5,
            "sixth": 6, "6th": 6}  # fmt: skip
_ORDER = "|".join(_NUMBERS)
_SIDES = {
    "left": "left", "leftmost": "left", "left-hand": "left", "right": "right", "rightmost": "right", "right-hand": "right",
    "middle": "middle", "center": "middle", "centre": "middle", "central": "middle", "top": "top", "topmost": "top",
    "upper": "top", "highest": "top", "uppermost": "top", "bottom": "bottom", "bottommost": "bottom", "lower": "bottom",
    "lowest": "bottom", "lowermost": "bottom", "bigger": "largest", "biggest": "largest", "larger": "largest", "largest": "largest",
    "taller": "largest", "tallest": "largest", "big": "largest", "large": "largest", "smaller": "smallest",
    "smallest": "smallest", "tiniest": "smallest", "tiny": "smallest", "little": "smallest", "small": "smallest",
    "shorter": "smallest",
}  # fmt: skip
_NTH = (
    re.compile(rf"^(?:the )?(?P<k>{_ORDER}) (?P<n>.+?) (?:counted )?from (?:the )?(?P<d>left|right|top|bottom)$"),
    re.compile(
        rf"^(?:the )?(?P<n>.+?) (?:that is |which is |in )?(?P<k>{_ORDER}) (?:place )?from (?:the )?(?P<d>left|right|top|bottom)$"
    ),
    re.compile(rf"^(?:counting )?from the (?P<d>left|right|top|bottom),? the (?P<k>{_ORDER}) (?P<n>.+)$"),
    re.compile(rf"^the (?P<k>{_ORDER}) of the (?P<n>.+?) from the (?P<d>left|right|top|bottom)$"),
    re.compile(r"^(?:the )?(?P<n>.+?) number (?P<k>[1-9]) from the (?P<d>left|right|top|bottom)$"),
)
_WHICH = re.compile(r"^(?P<n>.+?) (?:that|which) is (?P<d>[a-z-]+)$")
_BEHIND = re.compile(
    r"^(?P<n>.+?),? (?:(?:that|which|who) (?:is|are|stands?|sits?) |standing |sitting |over |furthest |farthest )?"
    r"(?:on|to|at|in) the (?:far |very |upper |lower )?(?P<d>left|right|middle|cent(?:er|re)|top|bottom|left-hand|right-hand)"
    r"(?: side| part| edge| of the (?:picture|photo|image))?$"
)
_OF = re.compile(r"^(?:the )?(?P<d>[a-z-]+)(?: one)? of the (?:two |three )?(?P<n>.+)$")
_FRONT = re.compile(r"^(?:the )?(?:far )?(?P<d>[a-z-]+) (?P<n>.+)$")
_ALL = re.compile(
    r"^(?:all(?: of)?(?: the| those)?|every(?: single| one of the)?|each(?: and every| of the| one of the)?|both(?: the)?|any and all) (?P<n>.+)$"
)
_PRONOUN = re.compile(r"^(?:it|him|her|them|he|she|they|this|that|one|these|those)$")
_WHOLE = r"(?:it|this|the (?:picture|photo|image|scene|whole (?:thing|picture))|everything)"
_VALUE_WORDS: dict[str, dict[str, str]] = {
    "weather": {
        "rain": r"rain\w*|pouring|drizzle|wet", "snow": r"snow(?!man|\s?field)\w*", "fog": r"fog\w*|mist\w*|haz[ey]",
        "clear": r"clear|sun|sunny|sunshine|cloudless",
    },
    "time": {
        "night": r"night\w*|midnight", "sunset": r"sunset|dusk|evening|twilight", "morning": r"morning|dawn|sunrise",
        "day": r"day|daytime|daylight|noon",
    },
    "season": {
        "summer": r"summer\w*", "autumn": r"autumn\w*|fall", "winter": r"winter\w*|wintry", "spring": r"spring\w*",
    },
}  # fmt: skip
_STYLE = re.compile(
    r"\b(pencil (?:sketch|drawing)|charcoal (?:drawing|sketch)|water ?colou?rs?(?: painting)?|oil(?:s| painting)|"
    r"sketch|mosaic|comic|cartoon|woodcut|fresco|engraving|etching)\b"
)
_BIGGER = re.compile(r"^(?:much |a bit |a lot |a little )?(?P<big>bigger|larger|big|large|huge|giant|taller|enormous)$")
_SMALLER = re.compile(
    r"^(?:much |a bit |a lot |a little )?(?P<small>smaller|small|tiny|tinier|little|shorter|miniature)$"
)
_DIRECTION = re.compile(
    r"^(?:over |a bit |further )*(?:to|on|at|in|into)?\s?(?:the )?(?:upper |lower )?"
    r"(?P<d>left|right|middle|cent(?:er|re)|top|bottom|up|down)\w*(?:-hand)?(?: side| part)?$"
)


@dataclass(frozen=True)
class _Found:
    """One edit as the patterns read it."""

    kind: Kind
    find: tuple[str, ...]
    which: str | tuple[str, ...]
    new: str


_CHANGES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"^(?:i want|i'd like|i would like) {_X} to (?:be|become) {_Y}$",
        rf"^(?:change|turn|transform|convert|make|morph|recolou?r|switch|(?!i |let|have|instead|take|what|how|can|could)\w+) {_X} (?:into|to) {_Y}$",
        rf"^(?:replace|swap|exchange|trade|substitute|switch) {_X} (?:with|by|for|out for|out with) {_Y}$",
        r"^substitute (?P<y>.+?) for (?P<x>.+)$",
        r"^(?:use |put |draw |paint |i want |i'd like |i would like |there should be |we need |give me )?(?P<y>.+?) (?:instead of|in place of|rather than|where|at the spot of) (?P<x>.+?)(?: is| stands(?: now)?)?$",
        rf"^(?:instead of|rather than) {_X},? (?:show |i want |i'd like )?{_Y}$",
        rf"^(?:let|have) {_X} (?:be|become|turn into|look like) {_Y}$",
        rf"^(?:what if|how would it look if|imagine|pretend(?: that)?) {_X} (?:were|was|is|became|becomes|turned into|had been) {_Y}$",
        rf"^how would {_X} look (?:in|if it were|if it was) {_Y}$",
        rf"^(?:i want|i'd like|i would like|i would rather have) {_X} (?:to be|to become|in|made of|made from|changed to|replaced with) {_Y}$",
        rf"^{_X} (?:should|must|could|needs to|ought to|has to)(?: be| become| look like| turn into)+(?: made of| made from)? {_Y}$",
        rf"^{_X} (?:->|=>|→|becomes|is now|:) {_Y}$",
        rf"^(?:show|imagine|see) {_X} (?:as|in) {_Y}$",
        rf"^(?:take out|remove|erase) {_X} and (?:put in|put|add|draw) {_Y}$",
        rf"^(?:can|could) {_X} be {_Y}$",
    )
)
_ADDS = tuple(
    re.compile(pattern)
    for pattern in (
        r"^(?:add|attach) (?P<y>.+?) (?:to|on top of|on) (?P<x>.+)$",
        r"^(?:put|place|stick|draw|let there be|i want|i'd like|there should be|what if there was|it would be nice to see) (?P<y>.+?) (?:on|onto|upon) (?P<x>.+)$",
        rf"^(?:let|make|have) {_X} (?:wear|have) {_Y}$",
        rf"^(?:dress) {_X} in {_Y}$",
        rf"^(?:equip|decorate|show) {_X} with {_Y}$",
        r"^give (?P<y>an? .+?) to (?P<x>.+)$",
        r"^give (?P<x>.+?) (?P<y>(?:an?|some) .+|glasses|sunglasses)$",
        rf"^(?:i want|i'd like|i would like) {_X} (?:to wear|to have|with) {_Y}$",
        rf"^what if {_X} (?:had|wore) {_Y}$",
        rf"^how would {_X} look with {_Y}$",
        rf"^{_X} (?:should wear|should have|needs|must have|wearing|is missing|could use|gets) {_Y}$",
        rf"^(?:could|can|why doesn't) {_X} have {_Y}$",
    )
)
_SMILE = re.compile(rf"^(?:make|let|have|get|i want)? ?{_X} (?:should |to )?smile$")
_ALONE = re.compile(
    r"^(?:add|insert|include|draw|paint|put in|bring in|show|place|put|let there be|there should(?: also)? be|i want|i'd like(?: to see)?|"
    r"we need|what if there was|it needs|the picture lacks|\+) (?P<y>(?:an?|some) .+?|\w+s)"
    r"(?: to| in| into)?(?: the)?(?: picture| image| photo| scene| shot)?(?: somewhere| there| too| as well| here)?$"
)
_REMOVES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"^(?:remove|delete|erase|drop|hide|eliminate|discard|get rid of|lose|clear|cut(?: out)?|take (?:away|out)|crop out|wipe out|"
        rf"paint over|leave out|edit out|throw out|clean away) {_X}(?: from the (?:picture|photo|image|scene|frame)| out| away)?$",
        rf"^(?:take|throw|cut|send) {_X} (?:away|out|off)(?: .+)?$",
        rf"^(?:make|let) {_X} (?:disappear|vanish|go away|be gone)$",
        rf"^(?:there should be )?(?:no more|no|without) {_X}$",
        rf"^(?:i want|i'd like|i would like) {_X} (?:to be )?(?:gone|removed|deleted)$",
        rf"^(?:i|we) (?:don't|do not) (?:want|like|need)(?: to see)? {_X}(?: in the picture)?$",
        rf"^(?:what if )?{_X} (?:was|were|should be|must be) (?:gone|removed|deleted|left out)$",
        rf"^{_X} (?:should|must|has to|needs to) (?:disappear|go|go away|vanish|leave|not be there)$",
        rf"^what if there was no {_X}$",
        rf"^{_X} does not belong .+$",
        rf".*\bwithout {_X}$",
    )
)
_LOOKS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"^(?:change|set|make|switch)? ?the (?:colou?r|shade|material) of {_X}(?: over)?(?: to| into| should be)? (?P<y>\w+)$",
        rf"^(?:let|have|i want|i'd like) {_X} (?:to )?(?:be )?made (?:of|from|out of) {_Y}$",
        rf"^{_X} (?:should|must|could|needs to) (?:be made|consist) (?:of|from|out of) {_Y}$",
        rf"^make {_X} look (?:like )?{_Y}$",
        rf"^(?:colou?r|paint|dye|tint|make|turn|recolou?r|change|let|have|i want|i'd like) {_X}(?: to be| be| look| in| to)? (?P<y>[\w-]+)$",
        rf"^(?:change|make) (?P<x>the .+?)(?:'s)? (?:colou?r|material) (?:to|into) {_Y}$",
        rf"^give {_X} a (?:coat of )?(?P<y>\w+) (?:paint|colou?r|tone|look|surface|finish)$",
        rf"^(?:make|build|carve|form|render|cover) {_X} (?:out of|from|of|in|with|like) {_Y}$",
        rf"^(?:what if )?{_X} (?:is|was|were)?\s?(?:entirely )?(?:made|built) (?:of|from|out of) {_Y}$",
        r"^use (?P<y>\w+) (?:for|as the (?:colou?r|material) (?:of|for)) (?P<x>.+)$",
        rf"^{_X} (?:in|would look good in|should have a) (?P<y>\w+)(?: colou?r)?$",
        rf"^{_X} (?:should|must|could|needs to|ought to) be {_Y}$",
        rf"^(?:wouldn't|what if|can|could) {_X} (?:be|was|were)(?: nicer if it was)? (?P<y>\w+)$",
    )
)
_SIZES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"^(?:make|let|have|turn|change|resize|i want|i'd like) {_X}(?: to be| be)? (?P<y>(?:much |a bit |a lot |a little )?[\w-]+)$",
        rf"^(?:what if )?{_X} (?:should be|must be|could be|needs to be|was|were|should get|ought to be) (?P<y>(?:much |a bit |a lot )?[\w-]+)$",
    )
)
_GROW = re.compile(
    rf"^(?P<v>enlarge|magnify|expand|upscale|grow|scale up|increase the size of|double the size of) {_X}(?: a bit)?$"
)
_SHRINK = re.compile(
    rf"^(?P<v>shrink|reduce|downscale|minify|scale down|(?:decrease|reduce|halve) the size of) {_X}(?: a bit)?$"
)
_TOO = re.compile(rf"^(?:why is )?{_X} (?:is too|looks too|so) (?P<y>\w+)$")
_MOVES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"^(?:move|shift|drag|slide|push|bring|take|put|place|position|set|get|relocate|have|let|show) {_X}(?: be| stand| go)? (?P<y>(?:a bit |further |over )?(?:to|on|at|in|into) the .+|left\w*|right\w*|up\w*|down\w*)$",
        rf"^(?:what if )?{_X} (?:should|must|needs to|could|would look better|belongs|was|were)(?: be| go| stand| move)? (?P<y>(?:to|on|at|in) the .+|left|right|up|down)$",
        rf"^(?:i want|i'd like|i would rather have|how about having) {_X}(?: to be| to stand)? (?P<y>(?:to|on|at|in) the .+)$",
        rf"^(?:can|could|why isn't) {_X} (?:be |go |stand )?(?P<y>(?:to|on|at|in) the .+?)(?: instead)?$",
    )
)
_BACKGROUND = tuple(
    re.compile(pattern)
    for pattern in (
        rf"^.*\b(?:background|backdrop|scene|place) (?:to|with|into|for|as|is|was|were|should be|should look like|be|->|=>|:) {_Y}$",
        rf"^(?:make|let) the (?:background|backdrop)(?: be)? {_Y}$",
        rf"^background:? (?:->|=>)? ?{_Y}$",
        r"^(?:put|use|have|show|i want|i'd like|there should be|set)?\s?(?P<y>.+?) (?:in|as|for|behind) (?:the |a )?(?:background|backdrop)$",
        rf"^(?:put|place|move|set|transport|take|let) (?:everything|it all|them|us|the whole thing)(?: happen)? (?:in|on|at|to) {_Y}$",
        rf"^(?:make it take place|it should be|what if they were|i want it to be) (?:in|on|at) {_Y}$",
    )
)


class Rules:
    """The planner by regular expressions (fulfils `roles.Planner`)."""

    def plan(self, instruction: str, description: str = "") -> tuple[Plan, ...]:
        """The plans of an instruction. Raises PlanError when no pattern fits or a thing is only called "it"."""
        text = _peeled(" ".join(instruction.lower().replace("’", "'").split()))
        if not text:
            raise PlanError("the instruction is empty: say what to change, for example 'make the cat a tiger'")
        parts = _parts(text)
        return tuple(_plan(part, instruction, description) for part in parts)


def _plan(found: _Found, instruction: str, description: str) -> Plan:
    find, which = found.find, found.which
    if any(_PRONOUN.match(phrase) for phrase in find):
        named = _first_noun(description)
        if not named:
            raise PlanError(
                f"{instruction[:60]!r} names nothing to edit: name the thing, or give --description or --image"
            )
        find, which = (named,), "all" if lexicon.is_plural(named) else "best"
    return plan_of(found.kind, find, which, found.new, description)


def _first_noun(description: str) -> str:
    """The first thing that a description names."""
    match = re.search(r"\bof (?:an?|the|some|two|three) (.+?)(?= on | in | at | with |,| and |$)", description.lower())
    return match[1] if match else ""


def _peeled(text: str) -> str:
    """The text without politeness at either end."""
    while True:
        shorter = _TRAILING.sub("", _POLITE.sub("", text.strip()))
        if shorter == text:
            return text
        text = shorter


def _parts(text: str) -> tuple[_Found, ...]:
    """The edits of a text: cut at a joining word when both halves can be read, else read as one."""
    whole = _one(text)
    if whole and whole.kind == "replace" and re.match(r"^(?:instead of|rather than|take out|remove|erase) ", text):
        return (whole,)
    for match in re.finditer(r",? and then |,? and also |[,;.] also,? |;|\. |, then |, and |, | and | plus | & ", text):
        first, second = _peeled(text[: match.start()]), _peeled(text[match.end() :])
        verb = re.match(r"^(make|turn|change|paint|colou?r)\b", first)
        if verb and not re.match(rf"^(?:{verb[0]}|\w+) (?:the|all|every|it)\b", second) and second:
            second = f"{verb[0]} {second}"
        one, two = _one(first), _one(second)
        if one and two and (verb or re.match(r"^(?:\w+ ){1,2}(?:the|all|every|it|an?)\b", second)):
            return (one, *_parts(second))
    if whole is None:
        raise PlanError(f"no rule reads {text[:60]!r}: put it as 'change the cat to a tiger' or 'make the car red'")
    return (whole,)


def _one(text: str) -> _Found | None:
    for reader in _READERS:
        if found := reader(text):
            return found
    return None


def _thing(text: str) -> tuple[tuple[str, ...], str | tuple[str, ...]]:
    """Phrases and choice of a noun phrase: "the second cat from the left" -> ("cat",), "2 from left"."""
    text = text.strip(" ,")
    both = re.match(r"^(the .+?|.+?) (?:and|as well as) (?:the )?(.+)$", text)
    if both:
        (first, one), (second, two) = _thing(both[1]), _thing("the " + both[2])
        if (
            second[0] in ("one", lexicon.singular(first[0]))
            and one != two
            and isinstance(one, str)
            and isinstance(two, str)
        ):
            return first, (one, two)
        return (*first, *second), one
    for pattern in _NTH:
        if match := pattern.match(text):
            number = _NUMBERS.get(match["k"]) or int(match["k"])
            return (tidy(match["n"]),), f"{number} from {match['d']}"
    text = re.sub(r" (?:in the (?:picture|photo|image|scene)|here)$", "", text)
    if (match := _WHICH.match(text)) and match["d"] in _SIDES:
        return (lexicon.singular(tidy(match["n"])),), _SIDES[match["d"]]
    if match := _BEHIND.match(text):
        return (lexicon.singular(tidy(match["n"])),), _SIDES.get(match["d"], "best")
    if (match := _OF.match(text)) and match["d"] in _SIDES:
        return (lexicon.singular(match["n"]),), _SIDES[match["d"]]
    if match := _ALL.match(text):
        return (tidy(match["n"]),), "all"
    if (match := _FRONT.match(text)) and match["d"] in _SIDES:
        return (tidy(match["n"]),), _SIDES[match["d"]]
    bare = tidy(text)
    several = lexicon.is_plural(bare) and lexicon.head(bare) not in lexicon.PLURAL_ONLY
    return (bare,), "all" if several else "best"


def _looks(text: str) -> tuple[Kind, str] | None:
    word = tidy(re.sub(r"^made (?:of|from|out of) ", "", text))
    word = lexicon.MATERIAL_NOUNS.get(word, word)
    if word in lexicon.COLOURS:
        return "recolour", word
    return ("material", word) if word in lexicon.MATERIALS else None


def _reads_whole(text: str) -> _Found | None:
    """Weather, time, season and style, when nothing in the picture is named."""
    style = _STYLE.search(text)
    if style and (re.search(rf"\b{_WHOLE}\b|\bstyle\b|^(?:as|in|an?)\b|feel|look", text) or text == style[1]):
        return _Found("style", (), "best", style[1])
    open_words = re.sub(
        rf"\b(?:make|turn|change|let|set|show|put|add|some|give|into|to|in|be|being|is|was|were|as|{_WHOLE}|the|an?|at|by|"
        r"weather|time|season|of|it|should|i|want|what|if|look|looks|like|day|scene|during|start|how|about|would|could|have|"
        r"this|been|taken|here|everything|cover|there|bit|nice|why|isn't|on|bring|picture|same|switch|get|wait|until|again|take|"
        r"i'd|prefer|pretend|that|out|outside|feel|whole|thing|from|clear|early)\b|[:,>=-]", " ", text)  # fmt: skip
    for kind, values in _VALUE_WORDS.items():
        for value, pattern in values.items():
            if re.fullmatch(rf"\s*(?:{pattern})(?:\s+(?:instead|weather|skies|sky))?\s*", open_words):
                return _Found(kind, (), "best", value)  # type: ignore[arg-type]
    if re.search(r"\bclear\b.*\b(?:weather|sky|skies|day)\b|\b(?:weather|it|day)\b.*\bclear\b", text):
        return _Found("weather", (), "best", "clear")
    if re.search(r"\b(?:night|.+) (?:to|into) (?:day|the day)$|\bby day\b|\bduring the day\b|^make it day$", text):
        return _Found("time", (), "best", "day")
    return None


def _reads_background(text: str) -> _Found | None:
    for pattern in _BACKGROUND:
        if match := pattern.match(text):
            return _Found("background", ("background",), "best", tidy(match["y"]))
    return None


def _reads_move(text: str) -> _Found | None:
    for pattern in _MOVES:
        match = pattern.match(text)
        side = match and _DIRECTION.match(match["y"])
        if match and side:
            values = {"left": "on the left", "right": "on the right", "top": "at the top", "up": "at the top",
                      "bottom": "at the bottom", "down": "at the bottom"}  # fmt: skip
            return _Found("move", *_thing(match["x"]), values.get(side["d"], "in the middle"))
    return None


def _reads_size(text: str) -> _Found | None:
    if match := _GROW.match(text):
        return _Found("resize", *_thing(match["x"]), "big")
    if match := _SHRINK.match(text):
        return _Found("resize", *_thing(match["x"]), "small")
    if match := _TOO.match(text):
        if match["y"] in lexicon.SIZES | {"tall", "short"}:
            return _Found("resize", *_thing(match["x"]), "small" if match["y"] in lexicon.BIG else "big")
    for pattern in _SIZES:
        match = pattern.match(text)
        if match and _BIGGER.match(match["y"]):
            return _Found("resize", *_thing(match["x"]), "big")
        if match and _SMALLER.match(match["y"]):
            return _Found("resize", *_thing(match["x"]), "small")
    if match := re.match(rf"^(?:make|let) {_X} (?:grow|shrink)$", text):
        return _Found("resize", *_thing(match["x"]), "big" if text.endswith("grow") else "small")
    return None


def _reads_looks(text: str) -> _Found | None:
    for pattern in _LOOKS:
        match = pattern.match(text)
        looks = match and _looks(match["y"])
        if match and looks:
            return _Found(looks[0], *_thing(match["x"]), looks[1])
    return None


def _reads_removal(text: str) -> _Found | None:
    for pattern in _REMOVES:
        if (match := pattern.match(text)) and not re.search(r" and (?:put|add|draw) ", text):
            return _Found("remove", *_thing(match["x"]), "")
    return None


def _reads_addition(text: str) -> _Found | None:
    if match := _SMILE.match(text):
        return _Found("add", *_thing(match["x"]), "smile")
    for pattern in _ADDS:
        match = pattern.match(text)
        if match and not re.search(r"^(?:the |this )?(?:picture|photo|image|scene|background)$", match["x"]):
            return _Found("add", *_thing(match["x"]), tidy(match["y"]))
    return None


def _reads_change(text: str) -> _Found | None:
    if re.match(r"^(?:add|insert|include) ", text):
        return None
    for pattern in _CHANGES:
        if match := pattern.match(text):
            looks = _looks(match["y"]) if not re.match(r"^an? ", match["y"]) else None
            if looks:
                return _Found(looks[0], *_thing(match["x"]), looks[1])
            return _Found("replace", *_thing(match["x"]), tidy(match["y"]))
    match = re.match(r"^make (?P<x>(?:the|all|every|each|this|that|my) .+?|it|him|her|them) (?P<y>an? .+)$", text)
    match = match or re.match(r"^make (?P<x>all the \w+|the \w+|it|them) (?P<y>\w+)$", text)
    return _Found("replace", *_thing(match["x"]), tidy(match["y"])) if match else None


def _reads_alone(text: str) -> _Found | None:
    match = _ALONE.match(text)
    return _Found("add", (), "best", tidy(match["y"])) if match else None


def _reads_swap(text: str) -> _Found | None:
    """What only looks like a removal: "take out the cat and put in a dog"."""
    match = re.match(rf"^(?:take out|remove|erase|get rid of) {_X},? (?:and|then) (?:put(?: in)?|add|draw) {_Y}$", text)
    if match:
        return _Found("replace", *_thing(match["x"]), tidy(re.sub(r" (?:there|instead)$", "", match["y"])))
    return None


_READERS: tuple[Callable[[str], _Found | None], ...] = (
    _reads_whole, _reads_background, _reads_swap, _reads_removal, _reads_size, _reads_move, _reads_addition, _reads_looks,
    _reads_change, _reads_alone,
)  # fmt: skip
