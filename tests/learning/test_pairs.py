from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pentimento.errors import RequestError
from pentimento.learning import LearnSettings, learn, read_pairs
from pentimento.learning.pairs import checked, without_last
from pentimento.values import Pair
from toy import ToyPack, toy_picture


def save(path: Path, seed: int, width: int = 16) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    toy_picture(width, 16, seed).save(path)


@pytest.mark.parametrize("inside", ["", "train"])
def test_numbered_pairs_come_in_the_order_of_their_numbers(tmp_path: Path, inside: str) -> None:
    for i in (0, 2, 10):
        for side in (0, 1):
            save(tmp_path / inside / f"{i}_{side}.png", 2 * i + side)
    (tmp_path / inside / "notes.txt").write_text("not a picture")
    pairs = read_pairs(tmp_path)
    assert [p.before.tobytes() for p in pairs] == [toy_picture(16, 16, 2 * i).tobytes() for i in (0, 2, 10)]
    assert [p.after.tobytes() for p in pairs] == [toy_picture(16, 16, 2 * i + 1).tobytes() for i in (0, 2, 10)]


def test_two_folders_are_pairs_by_name(tmp_path: Path) -> None:
    save(tmp_path / "before" / "cat.png", 0)
    save(tmp_path / "after" / "cat.png", 1)
    (pair,) = read_pairs(tmp_path)
    assert pair.after.tobytes() == toy_picture(16, 16, 1).tobytes()


def test_folders_that_hold_no_whole_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no such folder"):
        read_pairs(tmp_path / "nowhere")
    with pytest.raises(RequestError, match="holds no pairs"):
        read_pairs(tmp_path)
    save(tmp_path / "0_0.png", 0)
    with pytest.raises(RequestError, match="'0' is there only before or only after"):
        read_pairs(tmp_path)
    save(tmp_path / "0_1.png", 1, width=20)
    with pytest.raises(RequestError, match="one size"):
        read_pairs(tmp_path)


def test_a_picture_that_belongs_to_no_pair_is_named(tmp_path: Path) -> None:
    for name in ("0_0", "0_1", "1-0", "²_0", "²_1"):
        toy_picture(seed=len(list(tmp_path.iterdir()))).save(tmp_path / f"{name}.png")
    with pytest.raises(RequestError, match="1-0.png is no picture of a pair.*rename it"):
        read_pairs(tmp_path)
    (tmp_path / "1-0.png").unlink()
    assert len(read_pairs(tmp_path)) == 2


@pytest.mark.parametrize("folder", ["", "before"])
def test_two_files_for_one_place_are_refused(tmp_path: Path, folder: str) -> None:
    names = ("0_0", "0_1") if not folder else ("before/cat", "after/cat")
    for seed, name in enumerate((f"{names[0]}.png", f"{names[0]}.jpg", f"{names[1]}.png")):
        save(tmp_path / name, seed)
    with pytest.raises(RequestError, match="two for one place in a pair; take one away"):
        read_pairs(tmp_path)


def test_pairs_from_memory_come_upright_and_in_rgb() -> None:
    plain, after = toy_picture(24, 16), toy_picture(16, 24, seed=1)
    turned = plain.copy()
    turned.getexif()[0x0112] = 6  # shown a quarter turn clockwise
    (pair,) = checked([Pair(turned, after.convert("P"))])
    assert np.array_equal(np.asarray(pair.before), np.rot90(np.asarray(plain), -1))
    assert pair.after.tobytes() == after.convert("P").convert("RGB").tobytes()
    (grey,) = checked([Pair(plain.convert("L"), plain)])
    assert grey.before.mode == "RGB"


def test_learning_refuses_pairs_of_two_sizes_and_such_as_show_nothing(tmp_path: Path) -> None:
    fine, settings = Pair(toy_picture(), toy_picture(seed=1)), LearnSettings(instruction="snow", steps=1)

    def refused(pair: Pair) -> str:
        with pytest.raises(RequestError) as said:
            learn(ToyPack(), [fine, pair], tmp_path / "brush.safetensors", settings)
        return str(said.value)

    assert "pair 2, before is 64x64 and pair 2, after is 32x32" in refused(Pair(toy_picture(), toy_picture(32, 32)))
    assert "there is nothing to learn" in refused(Pair(toy_picture(), toy_picture().convert("RGBA")))
    assert not list(tmp_path.iterdir())


def test_a_folders_pair_without_a_difference_is_named(tmp_path: Path) -> None:
    for name in ("0_0.png", "0_1.png"):
        Image.new("RGB", (16, 16)).save(tmp_path / name)
    with pytest.raises(RequestError, match=r"0_0.png and .*0_1.png are one picture"):
        read_pairs(tmp_path)


def test_the_last_pair_is_kept_out_and_never_the_only_one() -> None:
    pairs = tuple(Pair(toy_picture(16, 16, 2 * i), toy_picture(16, 16, 2 * i + 1)) for i in range(3))
    assert without_last(pairs) == (pairs[:2], pairs[2])
    with pytest.raises(RequestError, match="one pair, which is learned from"):
        without_last(pairs[:1])
