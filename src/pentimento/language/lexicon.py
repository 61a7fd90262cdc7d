"""Small closed facts about English that plans and captions need: articles, plurals, colours, materials, closed values.

Nouns stay open: every function here takes any word. No model, no picture.
"""

COLOURS = frozenset(
    "red orange yellow green blue purple pink brown black white grey beige turquoise violet cyan magenta maroon navy "
    "teal crimson scarlet lilac lavender olive indigo tan blond blonde ginger colourful rainbow transparent".split()
)
MATERIALS = frozenset(
    "golden silver wooden chocolate glass bronze copper marble stone brick iron steel metal plastic paper cardboard "
    "leather woollen velvet silk ceramic porcelain crystal ice icy rubber clay concrete lego denim diamond wax "
    "knitted straw bamboo velvety".split()
)
SIZES = frozenset("big bigger biggest large larger huge giant small smaller smallest little tiny".split())
BIG = frozenset("big bigger large larger huge giant enormous grown tall taller".split())
SPELLINGS = {"gray": "grey", "multicolored": "colourful", "colorful": "colourful", "aluminium": "metal"}
MATERIAL_NOUNS = {  # what something is made of -> the adjective that a caption uses
    "gold": "golden", "wood": "wooden", "wool": "woollen", "bricks": "brick", "stones": "stone", "planks": "wooden",
}  # fmt: skip
STYLE_NAMES = {
    "sketch": "pencil sketch", "pencil": "pencil sketch", "pencil drawing": "pencil sketch",
    "charcoal": "charcoal drawing", "charcoal sketch": "charcoal drawing",
    "watercolor": "watercolor painting", "watercolour": "watercolor painting", "watercolors": "watercolor painting",
    "watercolours": "watercolor painting", "watercolour painting": "watercolor painting",
    "water color painting": "watercolor painting", "oil": "oil painting", "oils": "oil painting",
    "photograph": "photo", "real photo": "photo",
}  # fmt: skip
VALUES: dict[str, tuple[str, ...]] = {  # the kinds of edit whose outcome is one of a few
    "resize": ("big", "small"),
    "move": ("on the left", "on the right", "in the middle", "at the top", "at the bottom"),
    "weather": ("clear", "rain", "snow", "fog"),
    "time": ("day", "night", "sunset", "morning"),
    "season": ("summer", "autumn", "winter", "spring"),
}
PHRASES: dict[str, dict[str, str]] = {  # how a caption says these values
    "weather": {"clear": "in clear weather", "rain": "in the rain", "snow": "in the snow", "fog": "in the fog"},
    "time": {"day": "by day", "night": "at night", "sunset": "at sunset", "morning": "in the morning"},
    "season": {name: f"in {name}" for name in ("summer", "autumn", "winter", "spring")},
}
STANDING_ON = frozenset(
    "beach street road moon stage island bridge farm planet table grass sand snow lava field".split()
)
BACKDROPS = frozenset(
    "beach street road moon island farm planet grass sand snow lava field meadow desert forest wood jungle room "
    "kitchen bedroom office sea ocean lake river city town village park garden mountains hills sky".split()
)
"""What may stand behind everything, so that "in a forest" at the end of a caption tells the background."""
UNCOUNTABLE = frozenset(
    "grass sand snow water sea lava rice corn cheese butter honey milk coffee tea wine beer soup sugar "
    "salt flour hair fur wool wood gold silver metal glass paper plastic fire smoke fog rain ice mud moss ivy hay "
    "straw money jewellery jewelry furniture clothing luggage bacon spaghetti pasta ketchup mustard broccoli spinach "
    "garlic chocolate space heaven daylight sunlight moonlight lightning foliage graffiti confetti foam steam".split()
)
PLURAL_ONLY = frozenset(  # one thing, plural by form: "the glasses" are not several
    "glasses sunglasses eyeglasses goggles trousers pants jeans shorts leggings pyjamas pajamas tights scissors "
    "pliers tweezers binoculars headphones overalls noodles fries stairs mountains spectacles tongs clothes".split()
)
_IRREGULAR = {
    "man": "men", "woman": "women", "child": "children", "person": "people", "mouse": "mice", "goose": "geese",
    "tooth": "teeth", "foot": "feet", "ox": "oxen", "knife": "knives", "leaf": "leaves", "loaf": "loaves",
    "shelf": "shelves", "bookshelf": "bookshelves", "wolf": "wolves", "calf": "calves", "scarf": "scarves",
    "elf": "elves", "thief": "thieves", "wife": "wives", "life": "lives", "half": "halves", "hoof": "hooves",
    "cactus": "cacti", "tomato": "tomatoes", "potato": "potatoes", "hero": "heroes", "mango": "mangoes",
    "volcano": "volcanoes", "buffalo": "buffaloes", "quiz": "quizzes", "axe": "axes", "pickaxe": "pickaxes",
    "gnu": "gnus", "emu": "emus", "tutu": "tutus", "menu": "menus", "ski": "skis", "rabbi": "rabbis", "kiwi": "kiwis",
    "taxi": "taxis", "caribou": "caribous", "zucchini": "zucchinis", "bikini": "bikinis", "oasis": "oases",
    "mantis": "mantises", "iris": "irises",
    "sheep": "sheep", "fish": "fish", "deer": "deer", "moose": "moose", "bison": "bison", "reindeer": "reindeer",
    "aircraft": "aircraft", "spacecraft": "spacecraft", "hovercraft": "hovercraft", "goldfish": "goldfish",
    "starfish": "starfish", "jellyfish": "jellyfish", "swordfish": "swordfish", "catfish": "catfish",
}  # fmt: skip
_BACK = {plural: one for one, plural in _IRREGULAR.items()}
_MEN = frozenset("human german talisman shaman caiman ottoman".split())
_SINGULAR_S = frozenset("gas lens canvas atlas thermos rhinoceros christmas chaos kudos pancreas cosmos".split())
_STEM_SE = ("ouses", "auses", "fuses")
_STEM_CHE = ("avalanches", "niches", "quiches", "brioches", "caches", "headaches", "moustaches", "mustaches")
_IE = frozenset(
    "pie tie necktie bowtie magpie cookie zombie brownie hoodie smoothie genie movie selfie collie pixie beanie "
    "birdie veggie budgie doggie sortie prairie rookie walkie-talkie".split()
)
_LINKS = (" of ", " with ", " in ", " on ", " for ", " from ")
_AN_LETTERS = ("hour", "honest", "heir", "heirloom")
_A_LETTERS = ("uni", "use", "euro", "ukulele", "one", "ufo", "unic", "utensil", "urinal")


def place(phrase: str) -> str:
    """A place as a caption says it: "beach" -> "on a beach", "kitchen" -> "in a kitchen"."""
    if phrase == "sea":
        return "at sea"
    return f"{'on' if head(phrase) in STANDING_ON else 'in'} {article(phrase)}"


def article(phrase: str) -> str:
    """The phrase with "a" or "an" before it; plural and uncountable phrases stay bare."""
    if is_plural(phrase) or head(phrase) in UNCOUNTABLE:
        return phrase
    vowel = phrase.startswith(_AN_LETTERS) or (phrase[:1] in "aeiou" and not phrase.startswith(_A_LETTERS))
    return f"{'an' if vowel else 'a'} {phrase}"


def head(phrase: str) -> str:
    """The noun that a phrase is about: "painting of a beach" -> "painting", "garage door" -> "door"."""
    return _split(phrase)[1]


def is_plural(phrase: str) -> bool:
    """Whether the head noun has a plural's form ("glasses" has one, "bus" and "sheep" have not)."""
    return _word_is_plural(head(phrase))


def plural(phrase: str) -> str:
    """The phrase about several of its things; a phrase that is plural or uncountable already comes back unchanged."""
    before, noun, after = _split(phrase)
    if _word_is_plural(noun) or noun in UNCOUNTABLE:
        return phrase
    return f"{before}{_plural_word(noun)}{after}"


def singular(phrase: str) -> str:
    """The phrase about one of its things; plural-only words ("glasses") come back unchanged."""
    before, noun, after = _split(phrase)
    if not _word_is_plural(noun) or noun in PLURAL_ONLY:
        return phrase
    return f"{before}{_singular_word(noun)}{after}"


def _split(phrase: str) -> tuple[str, str, str]:
    """(what stands before the head noun, the head noun, what stands behind it)."""
    cuts = [at for at in (phrase.find(link) for link in _LINKS) if at > 0]
    end = min(cuts, default=len(phrase))
    start = phrase.rfind(" ", 0, end) + 1
    return phrase[:start], phrase[start:end], phrase[end:]


def _word_is_plural(word: str) -> bool:
    if word in _IRREGULAR:
        return False
    if word in _BACK or word in PLURAL_ONLY or word.endswith(("men", "people", "children", "mice")) and len(word) > 3:
        return word not in ("omen", "specimen", "regimen", "abdomen", "ramen", "semen", "acumen")
    return word.endswith("s") and not word.endswith(("ss", "us", "is", "'s")) and word not in _SINGULAR_S


def _plural_word(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("man") and word not in _MEN:
        return word[:-3] + "men"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    return word + "s"


def _singular_word(word: str) -> str:
    if word in _BACK:
        return _BACK[word]
    if word.endswith("men"):
        return word[:-3] + "man"
    if word.endswith("ies"):
        return word[:-1] if word[:-1] in _IE else word[:-3] + "y"
    if word.endswith("ches"):
        return word[:-1] if word.endswith(_STEM_CHE) else word[:-2]
    if word.endswith(("xes", "shes", "sses", "zzes")) or word[:-2] in _SINGULAR_S:
        return word[:-2]
    if word.endswith("uses") and not word.endswith(_STEM_SE):
        return word[:-2]
    return word[:-1]
