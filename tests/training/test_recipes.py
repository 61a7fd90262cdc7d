import sys
from pathlib import Path
from types import ModuleType

import pytest
import toy_recipe as toy
from pydantic import Field

from pentimento import recipes
from pentimento.errors import TrainingError
from pentimento.training import TrainSettings


class ToySettings(TrainSettings):
    images: int = Field(80, ge=1)
    batch_size: int = 8
    widths: tuple[int, ...] = (8, 3)


@pytest.fixture
def toy_name(monkeypatch) -> str:
    module = ModuleType("toy_as_recipe")
    module.Settings, module.job = ToySettings, lambda settings, pack_dir: toy.job(pack_dir)
    monkeypatch.setitem(sys.modules, "toy_as_recipe", module)
    monkeypatch.setitem(recipes.RECIPES, "toy", "toy_as_recipe")
    return "toy"


def test_a_recipe_runs_with_settings_as_they_are_typed(toy_name, tmp_path):
    typed = {"images": "160", "widths": "4,5", "lr": "1e-3"}
    report = recipes.run(toy_name, typed, tmp_path / "run", tmp_path / "pack", minutes=5)
    assert (report.images, report.settings["widths"], report.settings["minutes"]) == (160, [4, 5], 5.0)
    assert (tmp_path / "pack" / "toy" / "model.safetensors").exists()


def test_runs_and_packs_have_their_own_folders(toy_name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipes.run(toy_name)
    assert Path("runs/toy/report.json").exists() and Path("runs/miniature/toy/model.safetensors").exists()


def test_an_unknown_recipe_is_refused_with_the_names_of_all():
    with pytest.raises(TrainingError, match="no recipe is called 'autoencodr': take one of autoencoder, clip"):
        recipes.run("autoencodr")


@pytest.mark.parametrize("typed", [{"imges": "5"}, {"lr": "-1"}, {"batch_size": "many"}])
def test_a_wrong_setting_is_refused_with_the_names_of_all(toy_name, tmp_path, typed):
    with pytest.raises(TrainingError, match=rf"{next(iter(typed))}=.*the settings of toy are batch_size, checkpoint"):
        recipes.run(toy_name, typed, tmp_path / "run", tmp_path / "pack")
    assert not (tmp_path / "run").exists()


def test_importing_the_recipes_imports_none_of_them():
    assert "torch" not in vars(recipes)
    assert len([name for name in recipes.RECIPES if name != "toy"]) == 16
