"""The words of the drawn world, and what each of them looks like: nouns, colours, materials, places, times, styles.

Everything a caption, an instruction or a phrase can name stands here once. No drawing happens here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Noun:
    """A thing that can stand in a scene. `emoji` is its glyph, "" when it is drawn by `data.drawn`."""

    name: str
    plural: str
    group: str
    emoji: str = ""
    base: str = ""  # the natural colour's word, "" when it has none; such a recolouring would change nothing


_ROWS = {
    "person": "boy:boys:👦 girl:girls:👧 man:men:👨 woman:women:👩 astronaut:astronauts:👩‍🚀 clown:clowns:🤡 "
    "robot:robots:🤖 ghost:ghosts:👻:white snowman:snowmen:⛄:white",
    "animal": "cat:cats:🐈 dog:dogs:🐕 tiger:tigers:🐅 lion:lions:🦁 bear:bears:🐻 panda:pandas:🐼 "
    "rabbit:rabbits:🐇 horse:horses:🐎 zebra:zebras:🦓 cow:cows:🐄 pig:pigs:🐖:pink elephant:elephants:🐘 "
    "monkey:monkeys:🐒 penguin:penguins:🐧 owl:owls:🦉 duck:ducks:🦆 fish:fish:🐟 whale:whales:🐳:blue "
    "frog:frogs:🐸:green turtle:turtles:🐢:green fox:foxes:🦊:orange sheep:sheep:🐑:white giraffe:giraffes:🦒 "
    "dinosaur:dinosaurs:🦕:green shrimp:shrimps:🦐",
    "insect": "butterfly:butterflies:🦋 bee:bees:🐝 ladybug:ladybugs:🐞:red",
    "vehicle": "car:cars:🚗:red bus:buses:🚌 truck:trucks:🚚 train:trains:🚂 bicycle:bicycles:🚲 rocket:rockets:🚀 "
    "sailboat:sailboats:⛵ airplane:airplanes:✈️ tractor:tractors:🚜 scooter:scooters:🛵",
    "food": "apple:apples:🍎:red peach:peaches:🍑 orange:oranges:🍊:orange banana:bananas:🍌:yellow "
    "strawberry:strawberries:🍓:red lemon:lemons:🍋:yellow watermelon:watermelons:🍉 grape:grapes:🍇:purple "
    "cherry:cherries:🍒:red carrot:carrots:🥕:orange pizza:pizzas:🍕 hamburger:hamburgers:🍔 "
    "cake:cakes:🎂 donut:donuts:🍩 bread:breads:🍞 egg:eggs:🥚:white mushroom:mushrooms:🍄 cookie:cookies:🍪 "
    "juice:juices:🧃 noodles:noodles:🍜 fries:fries:🍟",
    "plant": "tree:trees:🌳:green palm:palms:🌴 cactus:cacti:🌵:green flower:flowers:🌸:pink rose:roses:🌹:red "
    "sunflower:sunflowers:🌻:yellow",
    "furniture": "chair:chairs:🪑 sofa:sofas:🛋️ bed:beds:🛏️ clock:clocks:⏰ lamp:lamps:💡:yellow",
    "building": "house:houses:🏠 castle:castles:🏰 tent:tents:⛺",
    "object": "guitar:guitars:🎸 umbrella:umbrellas:☂️ balloon:balloons:🎈:red ball:balls:⚽ book:books:📕 "
    "newspaper:newspapers:📰 laptop:laptops:💻 camera:cameras:📷 key:keys:🔑 bell:bells:🔔:yellow crown:crowns:👑 "
    "vase:vases:🏺 trumpet:trumpets:🎺 drum:drums:🥁 gift:gifts:🎁 bucket:buckets:🪣 star:stars:⭐:yellow "
    "heart:hearts:❤️:red candle:candles:🕯️",
}
DRAWN = {  # nouns without a glyph in every family: `data.drawn` draws them
    "furniture": "bench:benches table:tables curtain:curtains cupboard:cupboards bookshelf:bookshelves window:windows "
    "painting:paintings",
    "object": "lantern:lanterns traffic light:traffic lights",
    "building": "door:doors garage:garages",
}


def _nouns() -> dict[str, Noun]:
    table = {}
    for group, row in _ROWS.items():
        for cell in row.split(" "):
            name, plural, emoji, *base = cell.split(":")
            table[name] = Noun(name, plural, group, emoji, base[0] if base else "")
    for group, row in DRAWN.items():
        words = row.replace("traffic light:traffic lights", "traffic_light:traffic_lights").split(" ")
        for cell in words:
            name, plural = cell.replace("_", " ").split(":")
            table[name] = Noun(name, plural, group)
    return table


NOUNS: dict[str, Noun] = _nouns()
LIVING = frozenset(name for name, noun in NOUNS.items() if noun.group in ("person", "animal", "insect"))
"""Living creatures, whose details selective-area matching is for (InstructGIE Sec. 4.3)."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (250, 215, 50),
    "green": (60, 170, 70),
    "blue": (50, 110, 225),
    "purple": (145, 70, 200),
    "pink": (250, 130, 185),
    "brown": (135, 85, 50),
    "black": (50, 50, 55),
    "white": (240, 240, 240),
}
MATERIALS = ("golden", "silver", "wooden", "chocolate", "glass")
PLACES = ("grass", "sand", "snow", "street", "sea", "desert", "forest", "room", "kitchen", "mountains", "lava", "city")
PLACE_WORDS = {  # how a caption says it
    "grass": "on grass",
    "sand": "on a beach",
    "snow": "on snow",
    "street": "on a street",
    "sea": "at sea",
    "desert": "in a desert",
    "forest": "in a forest",
    "room": "in a room",
    "kitchen": "in a kitchen",
    "mountains": "in the mountains",
    "lava": "on lava",
    "city": "in a city",
}
BACKGROUNDS = {  # what an instruction calls it
    "grass": "meadow",
    "sand": "beach",
    "snow": "snow field",
    "street": "street",
    "sea": "sea",
    "desert": "desert",
    "forest": "forest",
    "room": "room",
    "kitchen": "kitchen",
    "mountains": "mountain landscape",
    "lava": "lava field",
    "city": "city",
}
INDOORS = ("room", "kitchen")
TIMES = ("day", "night", "sunset", "morning")
TIME_WORDS = {"day": "by day", "night": "at night", "sunset": "at sunset", "morning": "in the morning"}
WEATHERS = ("clear", "rain", "snow", "fog")
WEATHER_WORDS = {"clear": "in clear weather", "rain": "in the rain", "snow": "in the snow", "fog": "in the fog"}
SEASONS = ("summer", "autumn", "winter", "spring")
SEASON_WORDS = {s: f"in {s}" for s in SEASONS}
STYLES = ("photo", "pencil sketch", "charcoal drawing", "watercolor painting", "oil painting")
GREY_STYLES = ("pencil sketch", "charcoal drawing")

WEARABLES = ("hat", "top hat", "crown", "glasses", "sunglasses", "scarf", "smile", "bow tie")
WEARER_GROUPS = ("person", "animal")
PEOPLE = ("boy", "girl", "man", "woman", "astronaut", "clown")  # never tinted, and made of nothing else
POSITIONS = ("left", "middle", "right", "top", "bottom")
