"""A picture to its segments: truth in, truth out; nothing overlaps; two pictures are learned by heart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pentimento
from pentimento.data.scenes import Scene, Thing, draw_scene
from pentimento.data.segments import SURFACES, true_segments
from pentimento.errors import PackError, TrainingError
from pentimento.recipes import detector, panoptic
from pentimento.roles import Panoptic
from pentimento.vision import panoptic as model
from pentimento.vision.detector import DetectorNet, load
from pentimento.vision.panoptic import CentrePanoptic, PanopticNet, Regions, alone, parts

SMALL = replace(panoptic.config(), scene_widths=(16, 24, 32, 32), fused=16)
EYES = replace(detector.config(), scene_widths=(16, 24, 32, 32), crop=32, widths=(16, 24, 32, 32), blocks=(1, 1, 1, 1))
TWINS = Scene(1, (Thing("cat", 0.35, 0.6, 0.4), Thing("cat", 0.6, 0.62, 0.4)))


def untrained(seed: int = 0) -> CentrePanoptic:
    """A small net whose last layer is not nothing, so that it sees many middles."""
    torch.manual_seed(seed)
    net = PanopticNet(SMALL, DetectorNet(EYES))
    torch.nn.init.normal_(net.out.weight)
    torch.nn.init.zeros_(net.out.bias)
    return CentrePanoptic(net.eval().requires_grad_(False))


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def perfect(look: detector.Look) -> Regions:
    """What a net that knows the truth would answer."""
    truth = panoptic.true_regions(look)
    classes = torch.from_numpy(truth.classes[::2, ::2].astype(np.int64)).clamp(max=len(SURFACES))
    logits = 12 * torch.nn.functional.one_hot(classes, 1 + len(SURFACES)).permute(2, 0, 1)[None].float()
    middle = torch.from_numpy(truth.middle)[None].clamp(1e-4, 1 - 1e-4).logit()
    return Regions(logits, middle, torch.from_numpy(truth.offsets)[None])


@pytest.mark.parametrize("scene", [TWINS, *(draw_scene(seed, "validation") for seed in range(3))])
def test_a_net_that_knows_the_truth_gives_it_back(scene: Scene) -> None:
    look = detector.look_at(0)._replace(scene=scene, worn=())
    rendering = detector.render(scene)
    look = look._replace(image=rendering.image, masks=rendering.masks, stuff=dict(rendering.parts))
    found = parts(perfect(look), SMALL, 128, 128)
    owners = found.sure.argmax(0).numpy()
    truth = true_segments(scene)
    assert len(found.sure) == len(truth)
    assert {SURFACES[i] for i in found.surfaces} == {segment.label for segment in truth} & set(SURFACES)
    for segment in truth:
        assert max(iou(owners == number, segment.mask) for number in range(len(truth))) > 0.8


@pytest.mark.parametrize("size", [(128, 128), (97, 61), (3, 40), (300, 200)])
@pytest.mark.parametrize("shown", ["noise", "blank"])
def test_segments_have_the_pictures_size_and_do_not_overlap(size: tuple[int, int], shown: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise) if shown == "noise" else Image.new("RGB", size, (120, 130, 140))
    found = untrained().segments(image)
    assert all(segment.mask.shape == (size[1], size[0]) and segment.mask.any() for segment in found)
    assert sum((segment.mask.astype(int) for segment in found), np.zeros((size[1], size[0]), int)).max(initial=0) <= 1
    scores = [segment.score for segment in found]
    assert scores == sorted(scores, reverse=True) and all(0 <= score <= 1 for score in scores)
    if min(size) > 60:
        assert found


def test_a_net_that_has_seen_nothing_finds_no_thing() -> None:
    torch.manual_seed(0)
    found = CentrePanoptic(PanopticNet(SMALL, DetectorNet(EYES)).eval()).segments(
        Image.effect_noise((64, 64), 90).convert("RGB")
    )
    assert {segment.label for segment in found} <= set(SURFACES)


def test_a_crop_shows_one_thing_and_no_other() -> None:
    pictures, owners = torch.ones(1, 3, 32, 32), torch.full((1, 32, 32), -1)
    owners[:, :, :12], owners[:, :, 12:20] = 0, 1
    crop = alone(pictures, owners, torch.tensor([1]), torch.tensor([[4.0, 4, 28, 28]]), 24)[0, 0]
    assert not crop[:, :6].any() and crop[12, 12:].all()


def test_a_saved_model_loads_and_sees_the_same(tmp_path: Path) -> None:
    seen = untrained()
    model.save(seen.net.half().float(), tmp_path)
    again = model.load(tmp_path, seen.net.detector)
    assert isinstance(again, Panoptic) and again.net.config == SMALL
    image = Image.fromarray(detector.look_at(3, "validation").image)
    for one, other in zip(seen.segments(image), again.segments(image), strict=True):
        assert (one.label, one.score) == (other.label, other.score) and np.array_equal(one.mask, other.mask)


def test_two_pictures_are_learned_by_heart() -> None:
    torch.manual_seed(0)
    trained = Path(pentimento.__file__).parent / "packs" / "miniature" / "detector"
    net = PanopticNet(SMALL, load(trained).net).train()
    seen = panoptic.batch(4, 7, 2, "validation")
    optimizer = torch.optim.AdamW(net.parameters(), 4e-3)
    losses = []
    for step in range(120):
        value = panoptic.loss(net, seen, torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[-1] < 0.15 * losses[0]
    names = set()
    for picture, owners in zip(seen.pictures, seen.owners, strict=True):
        found = CentrePanoptic(net.eval()).segments(Image.fromarray(picture.permute(1, 2, 0).numpy()))
        names |= {segment.label for segment in found}
        for number in range(int(owners.max()) + 1):
            if (owners == number).sum() > 300:
                assert max(iou(segment.mask, (owners == number).numpy()) for segment in found) > 0.7
    true = {tuple(panoptic.NOUNS)[int(noun)] for noun in seen.nouns.flatten() if noun >= 0}
    true |= {SURFACES[int(number) - 1] for number in seen.classes.unique() if 0 < number < panoptic.UNKNOWN}
    assert true <= names


def test_the_recipe_is_pure_reaches_every_weight_and_begins_with_the_detectors_encoder(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="train the detector first"):
        panoptic.job(panoptic.Settings(), tmp_path)
    eyes = detector.job(detector.Settings(), tmp_path)
    eyes.export(eyes.model, tmp_path)
    job = panoptic.job(panoptic.Settings(), tmp_path)
    for name, weight in eyes.model.scene.state_dict().items():
        assert torch.equal(weight.half().float() if weight.is_floating_point() else weight,
                           job.model.scene.state_dict()[name])  # fmt: skip
    first, again = job.batch(1, 2), job.batch(1, 2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    before = {name: value.clone() for name, value in job.model.detector.state_dict().items()}
    job.loss(job.model.train(), first, torch.Generator().manual_seed(0)).backward()
    assert not [name for name, p in job.model.named_parameters() if p.requires_grad and p.grad is None]
    assert all(torch.equal(before[name], value) for name, value in job.model.detector.state_dict().items())
    job.export(job.model, tmp_path)
    model.load(tmp_path / panoptic.FOLDER, job.model.detector)
    with pytest.raises(PackError, match="another detector"):
        model.load(tmp_path / panoptic.FOLDER, DetectorNet(EYES))


def test_every_surface_of_the_world_has_a_name() -> None:
    for seed in range(40):
        labels = [segment.label for segment in true_segments(draw_scene(seed, "test"))]
        assert set(labels) <= {*panoptic.NOUNS, *SURFACES}
    assert not set(SURFACES) & set(panoptic.NOUNS)


def test_a_config_of_another_width_does_not_take_the_detectors_encoder() -> None:
    assert panoptic.begin_with_detector(PanopticNet(panoptic.config(), DetectorNet(detector.config())))
    assert not panoptic.begin_with_detector(PanopticNet(SMALL, DetectorNet(detector.config())))
