"""The example scripts do what they say, with a pack whose networks are small."""

import importlib.util
import sys
from pathlib import Path

import pytest
from PIL import Image

from pentimento import studio
from toy import ToyPack

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_retouching_learns_a_tone_and_shows_it_on_new_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = studio.Studio(ToyPack(), "toy", "cpu", "fp32")
    monkeypatch.setattr(studio, "open_studio", lambda pack="miniature", device="auto", dtype="auto": opened)
    spec = importlib.util.spec_from_file_location("retouching", EXAMPLES / "retouching.py")
    assert spec and spec.loader
    retouching = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(retouching)
    sheet = tmp_path / "sheet.png"
    monkeypatch.setattr(
        sys, "argv", ["retouching.py", "--folder", str(tmp_path), "--minutes", "0.01", "--sheet", str(sheet)]
    )
    retouching.main()
    with Image.open(sheet) as shown:
        assert shown.size == (6 * 128, 3 * 128)
    assert (tmp_path / "faded.safetensors").is_file()
