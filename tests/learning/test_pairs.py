from pathlib import Path

import pytest

from pentimento.errors import RequestError
from pentimento.learning import read_pairs
from toy import toy_picture


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
