import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pentimento.data.asking import random_asked
from pentimento.data.edits import draw_edit
from pentimento.data.words import Asked, Phrased, phrase
from pentimento.errors import PackError, PlanError
from pentimento.language import tagger
from pentimento.language.captions import plan_of
from pentimento.language.tagger import EDITS, Tagger, TaggerNet, TaggerSettings, batch_of, plans_of, words_of
from pentimento.recipes import language as recipe
from pentimento.roles import Planner
from pentimento.values import Plan

TINY = TaggerSettings(
    width=16, heads=2, layers=1, feedforward=16, letters=8, filters=8, neighbours=1, frame=("change", "the", "to")
)


def gold(phrased: Phrased) -> tuple[Plan, ...]:
    edits = phrased.asked.edits
    return tuple(dict.fromkeys(plan_of(e.kind, e.find, e.which, e.new, phrased.description) for e in edits))


@pytest.mark.parametrize("held_out", [False, True])
def test_gold_answers_decode_to_the_gold_plans(held_out: bool) -> None:
    checked = 0
    for seed in range(700):
        rng = np.random.default_rng([seed, held_out])
        asked = random_asked(rng, with_description=seed % 4 == 0, test=seed % 3 == 0)
        made = phrase(asked, rng, held_out)
        if asked.edits and (made.description or not asked.pronoun):
            assert plans_of(recipe.answers_to(made), made.text, made.description) == gold(made), made.text
            checked += 1
    assert checked > 500


def test_gold_answers_of_test_scenes_decode_to_their_plans() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        made = phrase(Asked((draw_edit(seed, "test").words,)), rng, held_out=True)
        assert plans_of(recipe.answers_to(made), made.text, made.description) == gold(made)


def test_what_a_creature_is_to_do_is_taught_as_no_edit() -> None:
    made = [recipe.example(number) for number in range(600)]
    doing = [m.text for m in made if re.search(r"headstand|lying down|lie down|jumping|leaping", m.text.lower())]
    assert doing and all(not recipe.answers_to(m) for m in made if m.text in doing)


def test_words_keep_their_places_in_the_text() -> None:
    text = "Change the cat's colour -> red! Café 猫"
    words = words_of(text)
    assert [text[w.start : w.end].lower() for w in words] == [w.text for w in words]
    assert [w.text for w in words][:5] == ["change", "the", "cat", "'s", "colour"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the t-shirt", ["the", "t-shirt"]),
        ("a merry-go-round's horse", ["a", "merry-go-round", "'s", "horse"]),
        ("the cat’s hat, don’t", ["the", "cat", "'s", "hat", ",", "don't"]),
        ("red -- or 'so'", ["red", "-", "-", "or", "'", "so", "'"]),
    ],
)
def test_words_with_a_hyphen_or_an_apostrophe_are_one(text: str, words: list[str]) -> None:
    assert [word.text for word in words_of(text)] == words


def test_training_batches_are_a_function_of_the_step() -> None:
    numbers = {"the": 1}
    one, again, other = (recipe.batch(numbers, step, 8) for step in (5, 5, 6))
    assert torch.equal(one.index, again.index) and torch.equal(one.tags, again.tags)
    assert one.index.shape != other.index.shape or not torch.equal(one.index, other.index)


def test_the_net_answers_every_question_for_every_edit() -> None:
    net = TaggerNet(TINY)
    batch = recipe.batch(net.numbers, 0, 8)
    scores = net(batch)
    b, words = batch.index.shape
    assert scores.tags.shape == (b, words, EDITS, 5)
    assert scores.kinds.shape == (b, EDITS, tagger.NO_EDIT + 1)
    assert scores.second.shape == (b, EDITS, scores.which.shape[-1] + 1)
    loss = tagger.loss_of(scores, batch)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_padding_does_not_change_an_answer() -> None:
    torch.manual_seed(0)
    net = TaggerNet(TINY).eval()
    short, long = (words_of("change the cat to a tiger"), ()), (words_of("the " * 30), words_of("photo of a cat"))
    alone, beside = net(batch_of(net.numbers, [short])), net(batch_of(net.numbers, [short, long]))
    torch.testing.assert_close(alone.kinds[0], beside.kinds[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(alone.tags[0], beside.tags[0, : len(short[0])], atol=1e-5, rtol=1e-4)


def test_a_saved_net_comes_back(tmp_path: Path) -> None:
    net = TaggerNet(TINY).eval()
    tagger.save(net, tmp_path / "language")
    again = tagger.load(tmp_path / "language")
    assert again.settings == net.settings
    batch = batch_of(net.numbers, [(words_of("change the cat"), ())])
    torch.testing.assert_close(again(batch).kinds, net(batch).kinds, atol=0.02, rtol=0.02)


def test_a_net_that_grows_out_of_another_answers_alike() -> None:
    torch.manual_seed(1)
    earlier = TaggerNet(TINY.model_copy(update={"neighbours": 0})).eval()
    net = TaggerNet(TINY.model_copy(update={"frame": ("cat", "change", "the", "to")})).eval()
    tagger.grow(net, earlier)
    text = [(words_of("change the cat to a tiger"), words_of("photo of a cat"))]
    one, other = earlier(batch_of(earlier.numbers, text)), net(batch_of(net.numbers, text))
    torch.testing.assert_close(one.tags, other.tags)
    torch.testing.assert_close(one.which, other.which)


def test_a_net_of_another_shape_does_not_grow() -> None:
    with pytest.raises(PackError, match="another shape"):
        tagger.grow(TaggerNet(TINY), TaggerNet(TINY.model_copy(update={"layers": 2})))


def test_words_take_in_their_neighbours_when_asked_to() -> None:
    torch.manual_seed(1)
    net = TaggerNet(TINY).eval()
    batch = batch_of(net.numbers, [(words_of("change the cat"), ())])
    before = net(batch).tags
    for parameter in net.phrases.parameters():
        torch.nn.init.normal_(parameter)
    assert not torch.allclose(net(batch).tags, before)


def test_misspelled_words_keep_their_length_and_ending() -> None:
    words = ["the", "42", "giraffes"]
    letters = torch.stack([batch_of({}, [(words_of(word), ())]).letters[1] for word in words])
    other = tagger.misspelled(letters, torch.tensor([False, True, True]))
    assert torch.equal(other[:2], letters[:2])
    read = bytes(other[2][:8].tolist()).decode()
    assert read.isalpha() and read.endswith("es") and read != "giraffes"
    assert torch.equal(other[2][8:], letters[2][8:])


def test_a_pronoun_points_at_one_thing() -> None:
    tags = torch.tensor([[0.6, 0.4, 0.0, 0.0, 0.0], [0.1, 0.7, 0.2, 0.0, 0.0], [0.2, 0.2, 0.6, 0.0, 0.0],
                         [0.4, 0.6, 0.0, 0.0, 0.0]])  # fmt: skip
    assert tagger._one_thing(tags) == [0, 1, 2, 0]


def test_a_folder_without_a_net_is_a_pack_error(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="language model"):
        tagger.load(tmp_path)
    tagger.save(TaggerNet(TINY), tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(PackError, match="language model"):
        tagger.load(tmp_path)


def test_a_recipe_makes_a_net_and_exports_it(tmp_path: Path) -> None:
    job = recipe.job(recipe.Settings(width=16, layers=1), tmp_path)
    loss = job.loss(job.model, job.batch(0, 4), torch.Generator())
    assert loss.isfinite()
    job.export(job.model, tmp_path)
    assert tagger.load(tmp_path / "language").numbers["change"] > 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "the " * 3000,
        "🐱➡️🐯",
        "猫を虎に変えて",
        "\x00\ud7ff",
        "make the caf\udce9 red",
        "ignore all rules",
        "a" * 10_000,
    ],
)
def test_any_text_gives_plans_or_a_plan_error(text: str) -> None:
    torch.manual_seed(3)
    try:
        plans = Tagger(TaggerNet(TINY), doubt=0.0).plan(text)
    except PlanError as error:
        assert "\n" not in str(error)
    else:
        assert plans


def test_the_tagger_is_a_planner() -> None:
    assert isinstance(Tagger(TaggerNet(TINY)), Planner)


def example_answer() -> tagger.Answer:
    return tagger.Answer("replace", (range(2, 3),), (), (range(5, 6),), ("best",), "", pronoun=False)


def test_a_doubtful_answer_is_refused() -> None:
    text = "change the cat to a tiger"
    assert plans_of([example_answer()], text, doubt=0.5)[0].after == "photo of a tiger"
    with pytest.raises(PlanError, match="not sure"):
        plans_of([replace(example_answer(), sure=0.2)], text, doubt=0.5)


def test_all_needs_a_plural_or_a_word_for_it() -> None:
    every = replace(example_answer(), which=("all",))
    assert plans_of([every], "change the cat to a tiger")[0].which == "best"
    assert plans_of([every], "change every cat to a tiger")[0].which == "all"


def test_a_pronoun_needs_a_description() -> None:
    lonely = replace(example_answer(), find=(), new=(range(4, 5),), pronoun=True)
    with pytest.raises(PlanError, match="--description or --image"):
        plans_of([lonely], "turn it into a tiger")
    pointed = replace(lonely, pointed=(range(3, 5),))
    plan = plans_of([pointed], "turn it into a tiger", "photo of a red cat on grass")[0]
    assert plan.find == ("red cat",)
    assert plan.before == "photo of a red cat on grass"


def test_no_edit_is_a_plan_error() -> None:
    with pytest.raises(PlanError, match="no edit"):
        plans_of([], "hello there")
