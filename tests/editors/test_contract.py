"""What every editor promises, whatever it does inside."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from pentimento.editors import EDITORS
from pentimento.errors import PackError, RequestError
from pentimento.values import Request
from toy import ToyPack, toy_learned, toy_mask, toy_picture

pytestmark = pytest.mark.parametrize("method", EDITORS)
INSTRUCTION = "Change the dog to a cat"
PACK = ToyPack()
TOY = {"diffedit": {"theta": 0.2, "noises": 2}, "mdp": {"inner_steps": 2}}
"""Random networks hardly tell one caption from another, and need no long optimisation."""


LEARNED = {method: toy_learned(method) for method in ("instructbrush", "visii")}


def edit(method: str, request: Request, **settings_: object):
    return EDITORS[method](pack=PACK, **{"steps": 2, **TOY.get(method, {}), **settings_})(brought(method, request))


def brought(method: str, request: Request) -> Request:
    """The request with the learned instruction that some methods need."""
    return replace(request, learned=LEARNED.get(method))


@given(width=st.integers(8, 150), height=st.integers(8, 150), masked=st.booleans())
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_size_goes_in_and_the_same_size_comes_out(method: str, width: int, height: int, masked: bool) -> None:
    mask = toy_mask(width, height) if masked else None
    result = edit(method, Request(toy_picture(width, height), INSTRUCTION, mask=mask))
    assert result.image.size == result.decoded.size == (width, height)
    assert result.image.mode == result.decoded.mode == "RGB"


def test_the_same_seed_gives_the_same_picture(method: str) -> None:
    request = Request(toy_picture(), INSTRUCTION, seed=7)
    assert edit(method, request).image.tobytes() == edit(method, request).image.tobytes()


def test_the_request_is_left_unchanged(method: str) -> None:
    picture, mask = toy_picture(), toy_mask()
    before = picture.tobytes(), mask.copy()
    edit(method, Request(picture, INSTRUCTION, mask=mask))
    assert picture.tobytes() == before[0]
    assert (mask == before[1]).all()


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "CMYK", "I;16"])
def test_pictures_of_other_modes_are_taken(method: str, mode: str) -> None:
    picture = Image.new("I;16", (20, 30), 20_000) if mode == "I;16" else toy_picture(20, 30).convert(mode)
    assert edit(method, Request(picture, INSTRUCTION)).image.size == (20, 30)


def test_given_masks_come_back_and_pixels_outside_their_cells_are_unchanged(method: str) -> None:
    picture, mask = toy_picture(), toy_mask()
    result = edit(method, Request(picture, INSTRUCTION, mask=mask))
    assert result.mask is not None and (result.mask == mask).all()
    assert (np.asarray(result.image)[~mask] == np.asarray(picture)[~mask]).all()
    assert result.image.tobytes() != picture.tobytes()


def test_the_record_names_method_seed_and_every_setting_and_is_json(method: str) -> None:
    editor = EDITORS[method](pack=PACK, steps=2, **TOY.get(method, {}))
    record = json.loads(json.dumps(editor(brought(method, Request(toy_picture(), INSTRUCTION, seed=3))).record))
    assert record["method"] == method
    assert record["seed"] == 3
    assert set(record["settings"]) == set(type(editor).model_fields) - {"pack"}
    assert EDITORS[method](pack=PACK, **record["settings"]) == editor
    assert all(seconds >= 0 for seconds in record["timings"].values())


def test_a_request_without_what_the_method_needs_is_refused(method: str) -> None:
    assert EDITORS[method].needs in ({"instruction"}, {"learned"}, {"instruction", "example"})
    with pytest.raises(RequestError, match="instruction"):
        EDITORS[method](pack=PACK)(Request(toy_picture(), " "))


def test_a_mask_of_another_size_and_an_empty_one_are_refused(method: str) -> None:
    with pytest.raises(RequestError, match=r"wanted \(height, width\) = \(64, 64\)"):
        edit(method, Request(toy_picture(), INSTRUCTION, mask=toy_mask(32, 64)))
    with pytest.raises(RequestError, match="empty"):
        edit(method, Request(toy_picture(), INSTRUCTION, mask=np.zeros((64, 64), dtype=bool)))


def test_a_mask_of_which_the_latent_grid_keeps_nothing_is_refused(method: str) -> None:
    column = np.zeros((64, 64), dtype=bool)
    column[:, 9] = True
    told: list[str] = []
    with pytest.raises(RequestError, match="mask_to_grid=area"):
        EDITORS[method](pack=PACK, mask_to_grid="nearest")(
            brought(method, Request(toy_picture(), INSTRUCTION, mask=column)), lambda doing, *_: told.append(doing)
        )
    assert set(told) <= {"plan"}  # before any of the work


@pytest.mark.parametrize("seed", [2**64, -1, None, 0.5, "3"])
def test_a_seed_that_is_no_whole_number_in_range_is_refused(method: str, seed: object) -> None:
    with pytest.raises(RequestError, match="the seed is"):
        edit(method, Request(toy_picture(), INSTRUCTION, seed=seed))  # type: ignore[arg-type]


def test_a_picture_below_eight_pixels_is_refused(method: str) -> None:
    with pytest.raises(RequestError, match="8x8"):
        edit(method, Request(Image.new("RGB", (7, 64)), INSTRUCTION))


def test_a_missing_model_is_a_pack_error(method: str) -> None:
    class Bare(ToyPack):
        @property
        def text_to_image(self):
            raise PackError("the pack bare has no text_to_image")

        instruct = inpaint = incontext = prompt_diffusion = text_to_image

    with pytest.raises(PackError):
        EDITORS[method](pack=Bare(), steps=2)(brought(method, Request(toy_picture(), INSTRUCTION)))


def test_unknown_settings_and_values_out_of_range_are_refused(method: str) -> None:
    for wrong in ({"stepz": 3}, {"steps": 0}, {"guidance": float("nan")}):
        with pytest.raises(ValidationError):
            EDITORS[method](pack=PACK, **wrong)


def test_settings_are_frozen(method: str) -> None:
    editor = EDITORS[method](pack=PACK)
    with pytest.raises(ValidationError):
        editor.steps = 3


def test_progress_is_told_and_may_stop_the_edit(method: str) -> None:
    told: list[tuple[str, int, int]] = []
    EDITORS[method](pack=PACK, steps=4, **TOY.get(method, {}))(
        brought(method, Request(toy_picture(seed=1), INSTRUCTION)), lambda *step: told.append(step)
    )
    edits = [(done, total) for doing, done, total in told if doing == "edit"]
    total = edits[-1][1]
    assert edits == [(i + 1, total) for i in range(total)]

    def stop(doing: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        EDITORS[method](pack=PACK, steps=4, **TOY.get(method, {}))(
            brought(method, Request(toy_picture(), INSTRUCTION)), stop
        )
