"""The drawn world keeps its promises: determinism, splits, held-out combinations, exact masks, captions."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pentimento.data import art, captions, scenes
from pentimento.data.export import EXAMPLES
from pentimento.data.scenes import Scene, Thing, draw_scene, held_out, render
from pentimento.data.vocabulary import COLOURS, MATERIALS, NOUNS
from pentimento.errors import RequestError
from pentimento.language import lexicon


def overlap(a: Thing, b: Thing) -> bool:
    return max(abs(a.x - b.x), abs(a.y - b.y)) < (a.size + b.size) / 2


@pytest.mark.parametrize("split", scenes.SPLITS)
def test_the_same_seed_gives_the_same_pixels(split: str) -> None:
    for seed in range(6):
        first, second = render(draw_scene(seed, split)), render(draw_scene(seed, split))
        assert np.array_equal(first.image, second.image)
        assert all(np.array_equal(a, b) for a, b in zip(first.masks, second.masks, strict=True))


def test_splits_and_seeds_draw_different_scenes() -> None:
    drawn = {(split, seed): draw_scene(seed, split) for split in scenes.SPLITS for seed in range(100)}
    assert len(set(drawn.values())) == len(drawn)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(RequestError, match="holiday"):
        draw_scene(0, "holiday")


def test_held_out_combinations_and_art_appear_in_no_training_scene() -> None:
    for seed in range(1500):
        for thing in draw_scene(seed, "train").things:
            assert not held_out(thing.noun, thing.colour or "-") or not thing.colour
            assert not held_out(thing.noun, thing.material or "-") or not thing.material
            assert thing.family != art.HELD_OUT_FAMILY
            assert thing.look in scenes.atmosphere.TRAINED_LOOKS


@pytest.mark.parametrize("split", scenes.SPLITS)
def test_looks_that_are_kept_for_the_effects_appear_in_no_scene(split: str) -> None:
    for looks in (draw_scene(seed, split).looks for seed in range(100)):
        kept = set(scenes.atmosphere.UNSEEN_LOOKS)
        assert not kept & {looks.time, looks.weather, looks.season, looks.style}


def test_held_out_combinations_do_appear_in_test_scenes() -> None:
    things = [thing for seed in range(400) for thing in draw_scene(seed, "test").things]
    assert any(thing.colour and held_out(thing.noun, thing.colour) for thing in things)


def test_half_of_the_scenes_with_several_things_are_confusable_and_a_third_overlap() -> None:
    several = [scene for seed in range(600) if len((scene := draw_scene(seed, "test")).things) > 1]
    confusable = sum(max(Counter(t.noun for t in scene.things).values()) > 1 for scene in several)
    overlapping = sum(
        any(overlap(a, b) for i, a in enumerate(scene.things) for b in scene.things[:i]) for scene in several
    )
    assert confusable >= 0.5 * len(several)
    assert overlapping >= len(several) / 3


def test_masks_are_disjoint_and_the_background_is_what_no_thing_covers() -> None:
    for seed in range(25):
        rendering = render(draw_scene(seed, "validation"))
        together = np.sum([m.astype(int) for m in (*rendering.masks, rendering.parts["background"])], axis=0)
        assert together.min() == together.max() == 1


def test_a_mask_is_where_its_thing_changes_the_picture() -> None:
    ball = Thing("ball", 0.5, 0.4, 0.4)
    scene = Scene(3, (replace(ball, noun="star"),), "sea")
    painted, empty = render(scene), render(replace(scene, things=()))
    differs = (painted.image != empty.image).any(-1)
    assert (differs & painted.masks[0]).sum() > 0.97 * painted.masks[0].sum()
    assert (differs & ~painted.masks[0]).sum() < 0.12 * painted.masks[0].sum()  # soft edges


def test_a_scene_looks_the_same_at_every_size() -> None:
    scene = EXAMPLES["cat-and-dog"]
    small, large = render(scene, 64), render(scene, 256)
    for a, b in zip(small.masks, large.masks, strict=True):
        assert abs(a.mean() - b.mean()) < 0.02


def test_whole_captions_mention_every_noun_and_colour() -> None:
    rng = np.random.default_rng(0)
    for seed in range(150):
        scene = draw_scene(seed, "train")
        said = captions.caption(scene, rng)
        assert said.startswith(f"{scene.style} of ")
        for thing in scene.things:
            assert captions.phrase(thing) in said


@pytest.mark.parametrize("family", (*art.FAMILIES, art.HELD_OUT_FAMILY))
def test_every_noun_has_a_drawing_in_every_family(family: str) -> None:
    for noun in NOUNS:
        assert np.asarray(art.sprite(noun, family).getchannel("A")).mean() > 20, noun


def test_the_vocabulary_is_as_large_as_promised_and_plurals_agree_with_the_lexicon() -> None:
    assert len(NOUNS) >= 80 and len(COLOURS) == 10 and {"golden", "silver", "wooden"} <= set(MATERIALS)
    for noun in NOUNS.values():
        assert lexicon.plural(noun.name) in (noun.plural, noun.name), noun
