"""A learned file that is damaged, or that no editor or model could use, is refused in words."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pentimento.editors import EDITORS
from pentimento.errors import RequestError
from pentimento.learned import load_learned, save_learned
from pentimento.values import Learned, Request
from toy import ToyPack, Wordy, toy_learned, toy_picture

BRUSH, VISII = toy_learned(), toy_learned("visii")
LACKING = {name: value for name, value in BRUSH.about.items() if name != "guidance"}


def test_one_flipped_byte_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "snow.safetensors"
    save_learned(BRUSH, path)
    content = path.read_bytes()
    for place in (content.index(b"make it snow"), len(content) - 2, len(content) // 2):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(RequestError, match=r"snow.safetensors: is damaged.*copy or learn it again"):
            load_learned(path)
    path.write_bytes(content)
    assert load_learned(path).tokens == 3


@pytest.mark.parametrize(
    ("learned", "named"),
    [
        (replace(BRUSH, method="sdedit"), "'sdedit' learns no instruction"),
        (replace(BRUSH, space="pixels"), "in the space 'pixels'"),
        (replace(BRUSH, method="visii"), "'visii' learns no instruction in the space 'attention'"),
        (replace(BRUSH, about=LACKING), "does not say for which guidance it was learned"),
        (replace(BRUSH, keys=BRUSH.keys[1:]), "layers of keys"),
        (replace(BRUSH, keys=()), "holds 0 layers of keys"),
        (replace(BRUSH, keys=(), values=()), "holds 0 layers of keys and 0 of values"),
        (replace(VISII, values=()), "holds 0 layers of keys and 0 of values"),
        (replace(VISII, values=VISII.values * 2), "holds 0 layers of keys and 2 of values"),
        (replace(VISII, keys=VISII.values), "holds 1 layers of keys"),
        (replace(VISII, values=(VISII.values[0][0],)), "not (parts, tokens, width)"),
        (replace(VISII, values=(VISII.values[0][:, :0],)), "not (parts, tokens, width)"),
        (replace(BRUSH, keys=(BRUSH.keys[0][:2], *BRUSH.keys[1:])), "differ in their parts or tokens"),
        (replace(BRUSH, values=(BRUSH.values[0][:, :2], *BRUSH.values[1:])), "differ in their parts or tokens"),
        (replace(VISII, values=(VISII.values[0] * np.nan,)), "not finite"),
    ],
)
def test_a_file_that_no_editor_could_apply_is_refused(tmp_path: Path, learned: Learned, named: str) -> None:
    save_learned(learned, tmp_path / "snow.safetensors")
    with pytest.raises(RequestError, match="learn it again") as said:
        load_learned(tmp_path / "snow.safetensors")
    assert named in str(said.value)


def wide(array: np.ndarray) -> np.ndarray:
    return np.concatenate([array, array], axis=-1)


def long(learned: Learned) -> dict[str, Any]:
    return {
        name: tuple(np.concatenate([array] * 4, axis=1) for array in getattr(learned, name))
        for name in ("keys", "values")
    }


@pytest.mark.parametrize(
    ("learned", "named"),
    [
        (replace(BRUSH, keys=BRUSH.keys[1:], values=BRUSH.values[1:]), "layers, wanted"),
        (replace(BRUSH, keys=(wide(BRUSH.keys[0]), *BRUSH.keys[1:])), "numbers of the widths"),
        (replace(BRUSH, values=(wide(BRUSH.values[0]), *BRUSH.values[1:])), "numbers of the widths"),
        (replace(VISII, values=(wide(VISII.values[0]),)), "numbers of the widths"),
        (replace(BRUSH, **long(BRUSH)), f"{Wordy.tokens} tokens, where a text has room for {Wordy.tokens - 2}"),
        (replace(VISII, **long(VISII)), f"{Wordy.tokens} tokens, where a text has room for {Wordy.tokens - 2}"),
    ],
)
def test_an_instruction_that_does_not_fit_into_the_model_is_refused(learned: Learned, named: str) -> None:
    with pytest.raises(RequestError, match="does not fit the model that it names.*learn it again") as said:
        EDITORS["instructbrush"](pack=ToyPack())(Request(toy_picture(), learned=learned))
    assert named in str(said.value)
