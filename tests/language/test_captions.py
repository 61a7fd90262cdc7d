import pytest

from pentimento.errors import PlanError
from pentimento.language.captions import plan_of
from pentimento.values import Kind

SCENE = "photo of a red cat on the left and a dog on the right, on grass, at night"


@pytest.mark.parametrize(
    ("kind", "find", "which", "new", "before", "after"),
    [
        ("replace", ("cat",), "best", "tiger", "photo of a cat", "photo of a tiger"),
        ("replace", ("laptop",), "all", "newspaper", "photo of laptops", "photo of newspapers"),
        (
            "replace",
            ("garage door", "main door"),
            "best",
            "oak",
            "photo of a garage door and a main door",
            "photo of an oak",
        ),
        ("recolour", ("green buses",), "all", "yellow", "photo of green buses", "photo of yellow buses"),
        ("recolour", ("orange",), "best", "blue", "photo of an orange", "photo of a blue orange"),
        ("material", ("vase",), "best", "gold", "photo of a vase", "photo of a golden vase"),
        ("add", ("boy",), "left", "glasses", "photo of a boy", "photo of a boy with glasses"),
        ("add", (), "best", "bird", "photo", "photo of a bird"),
        ("remove", ("cat",), "best", "", "photo of a cat", "photo of the background"),
        ("resize", ("cat",), "best", "larger", "photo of a cat", "photo of a big cat"),
        ("move", ("cat",), "best", "on the left", "photo of a cat", "photo of a cat on the left"),
        ("background", (), "best", "a beach", "photo of the background", "photo of a beach"),
        ("weather", (), "best", "rain", "photo", "photo in the rain"),
        ("time", (), "best", "day", "photo", "photo by day"),
        ("season", (), "best", "autumn", "photo", "photo in autumn"),
        ("style", (), "best", "watercolour", "photo", "watercolor painting"),
    ],
)
def test_each_kind_has_its_canonical_captions(
    kind: Kind, find: tuple[str, ...], which: str, new: str, before: str, after: str
) -> None:
    plan = plan_of(kind, find, which, new)
    assert (plan.before, plan.after) == (before, after)


@pytest.mark.parametrize(
    ("kind", "find", "which", "new", "after"),
    [
        (
            "replace",
            ("dog",),
            "best",
            "lion",
            "photo of a red cat on the left and a lion on the right, on grass, at night",
        ),
        (
            "recolour",
            ("cat",),
            "best",
            "blue",
            "photo of a blue cat on the left and a dog on the right, on grass, at night",
        ),
        ("remove", ("cat",), "left", "", "photo of a dog on the right, on grass, at night"),
        (
            "add",
            ("dog",),
            "best",
            "hat",
            "photo of a red cat on the left and a dog with a hat on the right, on grass, at night",
        ),
        (
            "add",
            (),
            "best",
            "bird",
            "photo of a red cat on the left, a dog on the right and a bird, on grass, at night",
        ),
        (
            "move",
            ("dog",),
            "best",
            "in the middle",
            "photo of a red cat on the left and a dog in the middle, on grass, at night",
        ),
        (
            "time",
            (),
            "best",
            "morning",
            "photo of a red cat on the left and a dog on the right, on grass, in the morning",
        ),
        (
            "weather",
            (),
            "best",
            "fog",
            "photo of a red cat on the left and a dog on the right, on grass, at night, in the fog",
        ),
        (
            "background",
            (),
            "best",
            "beach",
            "photo of a red cat on the left and a dog on the right, on a beach, at night",
        ),
        (
            "style",
            (),
            "best",
            "sketch",
            "pencil sketch of a red cat on the left and a dog on the right, on grass, at night",
        ),
    ],
)
def test_with_a_description_only_the_phrase_in_it_changes(
    kind: Kind, find: tuple[str, ...], which: str, new: str, after: str
) -> None:
    plan = plan_of(kind, find, which, new, SCENE)
    assert plan.before == plan.description == SCENE
    assert plan.after == after


@pytest.mark.parametrize(
    ("kind", "find", "new", "description", "after"),
    [
        ("recolour", "cat", "black cat", "", "photo of a black cat"),
        ("material", "table", "glass table", "", "photo of a glass table"),
        ("recolour", "dog", "red", "photo of a black and white dog on a sofa", "photo of a red dog on a sofa"),
        ("remove", "dog", "", "photo of a black and white dog and a cat", "photo of a cat"),
        ("replace", "cat", "fox", "photo of an orange and a cat", "photo of an orange and a fox"),
        ("weather", "", "rain", "photo of a cat in the snow", "photo of a cat, in the rain"),
        ("time", "", "night", "photo of a street at sunset", "photo of a street, at night"),
        ("background", "", "forest", "photo of a dog on a beach", "photo of a dog, in a forest"),
        ("background", "", "forest", "photo of a dog on a sofa", "photo of a dog on a sofa, in a forest"),
        ("remove", "cat", "", "photo of an orange and a cat", "photo of an orange"),
    ],
)
def test_captions_after_of_ordinary_english(kind: Kind, find: str, new: str, description: str, after: str) -> None:
    assert plan_of(kind, [find] if find else [], "best", new, description).after == after


def test_the_choice_picks_among_equal_things_of_a_description() -> None:
    twins = "photo of a cat on the left and a cat on the right"
    assert (
        plan_of("replace", ("cat",), "right", "tiger", twins).after
        == "photo of a cat on the left and a tiger on the right"
    )
    assert (
        plan_of("replace", ("cats",), "all", "tigers", twins).after
        == "photo of a tiger on the left and a tiger on the right"
    )


def test_free_text_descriptions_change_too() -> None:
    plan = plan_of("replace", ("horse",), "best", "zebra", "a man riding a horse in a field")
    assert plan.after == "a man riding a zebra in a field"


def test_a_description_that_does_not_name_the_thing_leaves_the_short_captions() -> None:
    plan = plan_of("replace", ("horse",), "best", "zebra", SCENE)
    assert (plan.before, plan.after, plan.description) == ("photo of a horse", "photo of a zebra", SCENE)


def test_the_same_thing_in_another_look_is_a_recolouring() -> None:
    assert plan_of("replace", ("green buses",), "all", "yellow buses").kind == "recolour"
    plan = plan_of("replace", ("green jacket",), "best", "silver one")
    assert (plan.kind, plan.after) == ("material", "photo of a silver jacket")
    assert plan_of("replace", ("apple",), "best", "orange").kind == "replace"


def test_phrases_lose_articles_and_foreign_spelling() -> None:
    plan = plan_of("recolour", ("the gray cat",), "1 from left", "red")
    assert (plan.find, plan.which) == (("grey cat",), "left")


def test_the_number_of_the_phrase_follows_the_choice() -> None:
    assert plan_of("remove", ("cats",), "left").find == ("cat",)
    assert plan_of("remove", ("cat",), "all").find == ("cats",)
    assert plan_of("remove", ("glasses",), "best").find == ("glasses",)


def test_a_plain_plural_means_all_of_them() -> None:
    assert plan_of("recolour", ("flowers",), "best", "red").which == "all"
    assert plan_of("recolour", ("glasses",), "best", "red").which == "best"


def test_things_are_no_colour() -> None:
    assert plan_of("material", ("laptops",), "all", "newspapers").kind == "replace"


@pytest.mark.parametrize(
    ("kind", "find", "new"), [("remove", (), ""), ("replace", ("cat",), ""), ("recolour", (), "red")]
)
def test_a_plan_without_what_its_kind_needs_is_refused(kind: Kind, find: tuple[str, ...], new: str) -> None:
    with pytest.raises(PlanError):
        plan_of(kind, find, "best", new)
