"""What people call the things, parts and surfaces of the drawn world: synonyms, groups, and which words are parts."""

from ..data.portraits import FOODS, FURNITURE, PERSONS, WALL_NOUNS, WORN
from ..data.vocabulary import COLOURS, MATERIALS, NOUNS, WEARABLES
from ..language import lexicon

SYNONYMS = {
    "cat": ("kitty", "kitten"), "dog": ("puppy",), "rabbit": ("bunny",), "bicycle": ("bike",), "car": ("automobile",),
    "airplane": ("plane", "aeroplane"), "sailboat": ("boat", "ship"), "scooter": ("motorbike",), "truck": ("lorry",),
    "hamburger": ("burger",), "donut": ("doughnut",), "watermelon": ("melon",), "sofa": ("couch",),
    "bookshelf": ("bookcase",), "laptop": ("computer",), "gift": ("present",), "vase": ("pot",), "bucket": ("pail",),
    "door": ("main door",), "garage": ("garage door",), "cupboard": ("closet", "cabinet"), "painting": ("picture",),
    "clock": ("alarm clock",), "horse": ("pony",), "pig": ("hog",), "duck": ("mallard",), "lamp": ("light bulb",),
    "palm": ("palm tree",), "noodles": ("noodle soup",), "fries": ("french fries",), "ladybug": ("ladybird",),
    "grape": ("bunch of grapes",), "carrot": ("carrot slice",), "ball": ("football", "soccer ball"),
}  # fmt: skip
WEAR_SYNONYMS = {"bow tie": ("tie",), "glasses": ("spectacles",), "hat": ("cap",), "smile": ("mouth", "lips")}
GROUPS = {
    "person": ("person", "people"), "animal": ("animal", "animals"), "insect": ("insect", "insects"),
    "vehicle": ("vehicle", "vehicles"), "plant": ("plant", "plants"), "building": ("building", "buildings"),
    "furniture": ("furniture", "pieces of furniture"), "food": ("food", "foods"),
}  # fmt: skip
LOOKS = (*COLOURS, *MATERIALS)
NAMES = (*NOUNS, *(name for name in WEARABLES if name not in NOUNS))
STUFF = {
    "background": ("background", "backdrop", "surroundings"), "sky": ("sky",), "ground": ("ground", "terrain"),
    "wall": ("wall", "walls"), "floor": ("floor",),
}  # fmt: skip
_WORN_WORDS = {word.split(" ")[-1] for name in WEARABLES for word in (name, *WEAR_SYNONYMS.get(name, ()))}
_SINGULAR = _WORN_WORDS - set(NOUNS) | {"plate", "dish"}
PART_WORDS = frozenset(_SINGULAR | set(map(lexicon.plural, _SINGULAR)))
"""Last words of phrases whose middles stand in a heat map of their own: what is worn, and the plate round the food.

All other phrases mean things. So what lies within a thing, or around it, does not hide the thing's middle.
"""

CALLED = {
    "hair": ("hair", "hairs"), "lips": ("lips", "mouth"), "tie": ("tie", "ties"), "ceiling": ("ceiling",),
    "jacket": ("jacket", "jackets", "coat"), "shirt": ("shirt", "shirts"), "roof": ("roof", "roofs"),
    "main door": ("main door", "main doors", "door", "doors", "front door"),
    "garage door": ("garage door", "garage doors", "door", "doors"), "plate": ("plate", "plates", "dish"),
    "mashed potatoes": ("mashed potatoes", "mashed potato", "potatoes"),
    "carrot slice": ("carrot slice", "carrot slices", "carrot", "carrots"),
}  # fmt: skip
"""Parts of close-ups that are no nouns of the world: the name, then mostly the plural, then other words."""

DOUBTFUL = {
    "hat": ("top hat",), "top hat": ("hat",), "glasses": ("sunglasses",), "sunglasses": ("glasses",),
    "main door": ("door",), "garage door": ("door", "garage"), "carrot slice": ("carrot",), "jacket": ("shirt",),
    "plate": ("table",), "house": ("castle", "garage"), **dict.fromkeys(PERSONS, PERSONS),
}  # fmt: skip
"""What a part is not called here, and what nobody should deny either."""

IN_CLOSE_UPS = tuple(dict.fromkeys((*CALLED, *WORN, *WALL_NOUNS, *FURNITURE, *FOODS, "vase", "flower")))
NEAR_GROUPS = {
    **dict.fromkeys(("hair", "lips", "tie", "jacket", "shirt"), ("person", "animal")),
    **dict.fromkeys(("main door", "garage door"), ("building",)), "roof": ("building", "vehicle"),
    **dict.fromkeys(("carrot slice", "mashed potatoes", "plate"), ("food",)),
}  # fmt: skip
"""Groups of which a thing in a scene may have such a part, though no mask says where."""


def called(name: str) -> tuple[str, ...]:
    """Everything that a thing or part may be called: its name, mostly its plural, and other words."""
    if name in CALLED:
        return CALLED[name]
    if name in NOUNS:
        return (name, NOUNS[name].plural, *SYNONYMS.get(name, ()))
    return (name, *WEAR_SYNONYMS.get(name, ()))


def is_part(phrase: str) -> bool:
    return phrase.split(" ")[-1] in PART_WORDS
