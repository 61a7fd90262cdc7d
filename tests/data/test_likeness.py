"""What CLIP says of a painted pair, and of exact ones."""

import pytest
import torch

from pentimento.data import likeness
from pentimento.data.grouped import draw_group
from pentimento.data.likeness import Likeness, likenesses, quantiles
from toy_prompts import ToyClip


def test_likeness_is_by_the_worse_caption_and_the_common_direction() -> None:
    said = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    right, wrong = likenesses(said, said.flip(0), said)[0], likenesses(said.flip(0), said, said)[0]
    assert (right.image, right.text) == (0.0, 1.0) and right.direction == pytest.approx(1)
    assert wrong.text == 0.0 and wrong.direction == pytest.approx(-1)
    still = likenesses(said[:1], said[:1], said)[0]
    assert (still.image, still.text, still.direction) == (1.0, 0.0, 0.0)


def test_quantiles_are_those_of_exact_pairs_and_withheld_kinds_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likeness, "MEASURED", 8)
    low, high = (quantiles(ToyClip(), Likeness(image=q, text=q, direction=q), 16) for q in (0.1, 0.9))
    assert low.image < high.image <= 1 and low.text < high.text and low.direction < high.direction
    first, *others = (draw_group(0, number, "validation").group.kind for number in range(8))
    assert first not in others
    middle = Likeness(image=0.5, text=0.5, direction=0.5)
    alone = quantiles(ToyClip(), middle, 16, others)
    monkeypatch.setattr(likeness, "MEASURED", 1)
    assert alone == quantiles(ToyClip(), middle, 16)
