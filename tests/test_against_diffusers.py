"""The benchmark beside diffusers' pipelines: the same work gives the same picture, and anything else is found out."""

from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers under numpy 2
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import against_diffusers

    return against_diffusers


def measured(bench: ModuleType, only: str, *more: str) -> dict:
    given = ("--toy", "--repeats", "1", "--fresh", "0", "--steps", "4", "--instruct-steps", "4")
    return bench.measure(bench.parse([*given, "--only", only, *more]))


@pytest.mark.parametrize(
    ("only", "rows"), [("InstructEdit, equal rows", 2 + 2 * 2), ("InstructPix2Pix, equal rows", 3 * 4)]
)
def test_the_same_work_gives_the_same_picture(bench: ModuleType, only: str, rows: int) -> None:
    whole = measured(bench, only)
    found = whole["contests"][only]
    assert found["rows"] == {"pentimento": rows, "diffusers": rows}
    assert found["twins_apart"]["most"] <= bench.ROUNDING
    ratio = found["diffusers_over_pentimento"]
    assert 0 < ratio["low"] <= ratio["median"] <= ratio["high"]
    assert f"| rows through the U-Net | {rows} | {rows} |" in bench.in_words(whole)


@pytest.mark.parametrize(
    ("only", "rows"),
    [
        ("InstructEdit, own defaults", {"pentimento": 25 + 2 * 25, "diffusers": 10 * 4 + 2 * 40 + 2 * 40}),
        ("InstructPix2Pix, own defaults", {"pentimento": 3 * 20, "diffusers": 3 * 100}),
    ],
)
def test_at_their_own_defaults_each_side_does_what_the_page_says(bench: ModuleType, only: str, rows: dict) -> None:
    assert measured(bench, only)["contests"][only]["rows"] == rows


def test_different_work_is_not_timed_as_the_same(bench: ModuleType) -> None:
    with pytest.raises(SystemExit, match="not the same work"):
        measured(bench, "InstructEdit, equal rows", "--steps", "5")  # 2.5 of 5 steps: ours go up to 3, theirs to 2


def test_two_pictures_of_one_algorithm_end_the_run_in_fp32(bench: ModuleType) -> None:
    one, other = Image.new("RGB", (8, 8)), Image.new("RGB", (8, 8), (0, 0, 9))
    assert bench.agree("edit", one, other, "bf16") == bench.Apart(9, 3.0)
    with pytest.raises(SystemExit, match="9 levels of 255 apart"):
        bench.agree("edit", one, other, "fp32")
