"""How the few outcomes of the closed kinds are said: noun, adjective, verb, direction and so on, for `words`."""

FORMS: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {
    ("weather", "rain"): {
        "noun": ("rain", "rain", "rainfall", "drizzle"),
        "adj": ("rainy", "rainy", "wet"),
        "verb": ("rain",),
        "ger": ("raining", "pouring"),
    },
    ("weather", "snow"): {
        "noun": ("snow", "snow", "snowfall", "snowflakes"),
        "adj": ("snowy",),
        "verb": ("snow",),
        "ger": ("snowing",),
    },
    ("weather", "fog"): {"noun": ("fog", "mist", "fog"), "adj": ("foggy", "misty", "hazy")},
    ("weather", "clear"): {"noun": ("sunshine", "clear weather", "sun"), "adj": ("clear", "sunny", "cloudless")},
    ("time", "night"): {
        "noun": ("night", "night", "nighttime", "midnight"),
        "adv": ("at night", "at night", "by night", "at midnight"),
        "other": ("day", "the day", "daytime"),
    },
    ("time", "sunset"): {
        "noun": ("sunset", "sunset", "dusk", "evening"),
        "adv": ("at sunset", "at dusk", "in the evening"),
        "other": ("day", "the morning", "noon"),
    },
    ("time", "morning"): {
        "noun": ("morning", "dawn", "sunrise"),
        "adv": ("in the morning", "at dawn", "at sunrise", "early in the morning"),
        "other": ("night", "the evening", "sunset"),
    },
    ("time", "day"): {
        "noun": ("day", "daytime", "daylight", "noon"),
        "adv": ("by day", "in daylight", "during the day", "at noon", "in the daytime"),
        "other": ("night", "the night", "sunset"),
    },
    ("season", "summer"): {"noun": ("summer", "summer", "summertime"), "other": ("winter", "the winter")},
    ("season", "autumn"): {"noun": ("autumn", "autumn", "fall"), "other": ("summer", "the summer", "spring")},
    ("season", "winter"): {"noun": ("winter", "winter", "wintertime"), "other": ("summer", "autumn")},
    ("season", "spring"): {"noun": ("spring", "spring", "springtime"), "other": ("winter", "autumn")},
    ("resize", "big"): {
        "size": ("bigger", "larger", "big", "large", "huge", "giant", "taller", "enormous"),
        "er": ("bigger", "larger", "taller"),
        "sized": ("a bigger", "a larger", "a big", "a huge", "a giant", "a much bigger"),
        "enlarge": ("enlarge", "magnify", "expand", "upscale", "grow"),
        "grow": ("grow", "expand"),
        "increase": ("increase", "double", "enlarge"),
        "updown": ("up",),
        "opposite": ("small", "little", "tiny", "short"),
        "times": ("twice", "double", "three times"),
        "bare": ("big", "large", "tall"),
        "more": ("more",),
    },
    ("resize", "small"): {
        "size": ("smaller", "tiny", "small", "little", "shorter", "tinier", "miniature"),
        "er": ("smaller", "tinier", "shorter"),
        "sized": ("a smaller", "a tiny", "a little", "a small", "a much smaller"),
        "enlarge": ("shrink", "reduce", "downscale", "minify"),
        "grow": ("shrink",),
        "increase": ("decrease", "reduce", "halve", "shrink"),
        "updown": ("down",),
        "opposite": ("big", "large", "huge", "tall"),
        "times": ("half",),
        "bare": ("small", "little"),
        "more": ("less",),
    },
    ("move", "on the left"): {
        "to": ("to the left", "to the left", "left", "to the left side", "leftwards"),
        "at": ("on the left", "to the left", "on the left side", "at the left", "on the left-hand side"),
        "direction": ("left",),
    },
    ("move", "on the right"): {
        "to": ("to the right", "to the right", "right", "to the right side", "rightwards"),
        "at": ("on the right", "to the right", "on the right side", "at the right", "on the right-hand side"),
        "direction": ("right",),
    },
    ("move", "in the middle"): {
        "to": ("to the middle", "to the center", "into the middle", "to the centre"),
        "at": ("in the middle", "in the center", "in the centre", "at the centre"),
        "direction": ("middle", "center", "centre"),
    },
    ("move", "at the top"): {
        "to": ("to the top", "up", "upwards", "higher up"),
        "at": ("at the top", "in the upper part", "on the top"),
        "direction": ("top",),
    },
    ("move", "at the bottom"): {
        "to": ("to the bottom", "down", "downwards", "lower down"),
        "at": ("at the bottom", "in the lower part", "on the bottom"),
        "direction": ("bottom",),
    },
    ("action", "jumping"): {
        "do": ("jump", "jump", "leap", "hop", "jump up", "leap into the air"),
        "ing": ("jumping", "jumping", "leaping", "hopping", "jumping up", "leaping into the air"),
    },
    ("action", "lying down"): {
        "do": ("lie down", "lie down", "lie on the side", "lie flat on the ground", "fall over sideways"),
        "ing": ("lying down", "lying down", "lying on the side", "lying flat on the ground"),
    },
    ("action", "doing a headstand"): {
        "do": ("do a headstand", "do a headstand", "do a handstand", "stand upside down"),
        "ing": ("doing a headstand", "doing a headstand", "doing a handstand", "standing upside down"),
    },
    ("action", "leaning to one side"): {
        "do": ("lean to one side", "lean over", "tilt to the side"),
        "ing": ("leaning to one side", "leaning over", "tilting to the side"),
    },
    ("action", "rearing up"): {
        "do": ("rear up", "rear up", "stand up on the hind legs", "rise on the hind legs"),
        "ing": ("rearing up", "rearing up", "standing up on the hind legs", "rising on the hind legs"),
    },
    ("action", "bowing down"): {
        "do": ("bow down", "bow", "take a bow", "lower the head"),
        "ing": ("bowing down", "bowing", "taking a bow", "lowering the head"),
    },
    ("action", "lying on its back"): {
        "do": ("lie on its back", "roll onto its back", "lie there with all feet in the air"),
        "ing": ("lying on its back", "rolling on its back", "lying there with all feet in the air"),
    },
}
MEDIUM = {
    "pencil sketch": ("pencil",),
    "charcoal drawing": ("charcoal",),
    "watercolor painting": ("watercolor", "watercolour", "watercolors"),
    "oil painting": ("oil", "oils"),
}
