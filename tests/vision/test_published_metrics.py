"""LPIPS on AlexNet and FID's Inception with random weights in the published layouts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torchmetrics.functional.image import lpips as oracle

from pentimento.errors import PackError
from pentimento.packs import Role, open_pack, seal
from pentimento.vision import inception, lpips, perceptual
from pentimento.vision.perceptual import PerceptualConfig, PerceptualNet

TRUNK = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
"""torchvision's AlexNet: features.N.weight (out, in, k, k)."""


def published_lpips(folder: Path, in_one: bool = False) -> dict[str, torch.Tensor]:
    """Random weights by their published names: two files, or the package's own one."""
    generator = torch.Generator().manual_seed(0)
    trunk: dict[str, torch.Tensor] = {}
    for i, (channel, (out, inputs, k)) in enumerate(TRUNK.items(), 1):
        name = f"net.slice{i}.{channel}" if in_one else f"features.{channel}"
        trunk[f"{name}.weight"] = torch.randn(out, inputs, k, k, generator=generator) / (inputs * k * k) ** 0.5
        trunk[f"{name}.bias"] = torch.randn(out, generator=generator) / 10
    heads = {
        f"lin{i}.model.1.weight": torch.rand(1, shape[0], 1, 1, generator=generator)
        for i, shape in enumerate(TRUNK.values())
    }
    folder.mkdir(parents=True, exist_ok=True)
    if in_one:
        save_file(trunk | heads | {"scaling_layer.shift": torch.zeros(1, 3, 1, 1)}, folder / "alex.safetensors")
    else:
        save_file(trunk | {"classifier.1.bias": torch.zeros(4)}, folder / "alexnet.safetensors")
        save_file(heads, folder / "heads.safetensors")
    return trunk | heads


def pictures(count: int = 2, size: tuple[int, int] = (96, 72)) -> list[Image.Image]:
    rng = np.random.default_rng(1)
    return [
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
        for _ in range(count)
    ]


def as_tensor(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def test_lpips_is_torchmetrics_own_on_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = published_lpips(tmp_path)
    one, other = pictures()
    made = lpips.load(tmp_path)

    def alexnet(name: str, pretrained: bool) -> nn.Sequential:
        layers: list[nn.Module] = []
        for i, (out, inputs, k) in TRUNK.items():
            conv = nn.Conv2d(inputs, out, k, stride=4 if k == 11 else 1, padding=2 if k > 3 else 1)
            conv.load_state_dict({"weight": state[f"features.{i}.weight"], "bias": state[f"features.{i}.bias"]})
            layers += [conv, nn.ReLU(), *([nn.MaxPool2d(3, 2)] if i < 6 else [])]
        return nn.Sequential(*layers)

    monkeypatch.setattr(oracle, "_get_tv_model_features", alexnet)
    for spatial in (False, True):
        theirs = oracle._LPIPS(pretrained=False, net="alex", spatial=spatial)
        theirs.load_state_dict({name: w for name, w in state.items() if name.startswith("lin")}, strict=False)
        with torch.no_grad():
            wanted = theirs(as_tensor(one), as_tensor(other))[0, 0]
        ours = made.distance_map(one, other) if spatial else made.distances([one], [other]).view(1, 1)
        assert wanted.abs().mean() > 0.01
        torch.testing.assert_close(ours, wanted, rtol=1e-3, atol=1e-5)


def test_equal_pictures_have_no_lpips_and_a_local_change_is_seen_where_it_is(tmp_path: Path) -> None:
    published_lpips(tmp_path)
    made, (one, other) = lpips.load(tmp_path), pictures(2, (128, 128))
    changed = one.copy()
    changed.paste(other.crop((0, 0, 40, 40)), (0, 0))
    distances = made.distances([one, one], [one, changed])
    seen = made.distance_map(one, changed)
    assert distances[0] == 0 < distances[1] and seen.shape == (128, 128)
    assert seen[:40, :40].mean() > 5 * seen[80:, 80:].mean()


def test_both_published_layouts_of_lpips_are_read(tmp_path: Path) -> None:
    published_lpips(tmp_path / "two")
    published_lpips(tmp_path / "one", in_one=True)
    one, other = pictures()
    apart = [lpips.load(tmp_path / layout).distances([one], [other]) for layout in ("two", "one")]
    assert torch.equal(*apart)


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="no safetensors file"):
        lpips.load(tmp_path)
    published_lpips(tmp_path)
    (tmp_path / "heads.safetensors").unlink()
    with pytest.raises(PackError, match="heads"):
        lpips.load(tmp_path)


def test_inception_has_the_published_number_of_weights_and_names() -> None:
    with torch.device("meta"):
        net = inception.InceptionNet()
    # torchvision counts 23,834,568 without the auxiliary head, of which the classifier takes 2,049,000
    assert sum(p.numel() for p in net.parameters()) == 23_834_568 - 2_049_000
    shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    assert shapes["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert shapes["Mixed_5b.branch_pool.conv.weight"] == (32, 192, 1, 1)
    assert shapes["Mixed_6b.branch7x7dbl_5.conv.weight"] == (192, 128, 1, 7)
    assert shapes["Mixed_7a.branch7x7x3_4.bn.running_mean"] == (192,)
    assert shapes["Mixed_7c.branch3x3dbl_3b.conv.weight"] == (384, 384, 3, 1)


def published_inception(folder: Path) -> None:
    """Random weights that keep activations near 1, as old files hold them: no counts of batches, a classifier."""
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in inception.InceptionNet().state_dict().items()}
    state = {"fc.weight": torch.zeros(8, 8), "AuxLogits.fc.bias": torch.zeros(2)}
    for name, shape in shapes.items():
        if name.endswith("conv.weight"):
            state[name] = torch.randn(shape, generator=generator) * (2 / shape[1:].numel()) ** 0.5
        elif name.endswith(("bn.weight", "running_var")):
            state[name] = torch.ones(shape)
        elif not name.endswith("num_batches_tracked"):
            state[name] = torch.zeros(shape)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / "inception.safetensors")


def test_inception_sees_pictures_of_any_size_as_2048_features(tmp_path: Path) -> None:
    published_inception(tmp_path)
    made = inception.load(tmp_path)
    one, other = pictures(2, (64, 48))
    features = made.pooled([one, other])
    assert features.shape == (2, inception.DIMENSIONS) and features.std() > 0
    assert torch.equal(features[:1], made.pooled([one])) and not torch.allclose(features[0], features[1])


def test_the_pools_of_fids_network_leave_the_border_out_of_the_mean_and_end_in_a_maximum() -> None:
    x = torch.rand(1, 4, 5, 5)
    for pool in ("average", "largest"):
        block = inception.Mixed(4, (), pool, 4)
        seen: list[torch.Tensor] = []
        block.branch_pool.register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0]))
        block(x)
        corner = x[0, :, :2, :2].flatten(1)
        wanted = corner.mean(1) if pool == "average" else corner.amax(1)
        torch.testing.assert_close(seen[0][0, :, 0, 0], wanted)
    assert inception.Mixed(4, (), "halve")(x).shape == (1, 4, 2, 2)


def test_a_pack_measures_by_published_networks_only_when_their_weights_are_there(tmp_path: Path) -> None:
    own = PerceptualNet(PerceptualConfig({"nouns": ("cat",)}, side=32, widths=(4, 4, 4, 4)))
    perceptual.save(own, tmp_path / "perceptual")
    roles = {
        "perceptual": Role(kind="perceptual", components={"model": "perceptual"}),
        "lpips": Role(kind="lpips_alexnet", components={"model": "lpips"}),
    }
    seal(tmp_path, "mine", "1", {"perceptual": roles["perceptual"]}, {}, "")
    manifest = open_pack(tmp_path, "cpu").manifest.model_copy(update={"roles": roles})
    (tmp_path / "manifest.json").write_text(manifest.model_dump_json())
    assert open_pack(tmp_path, "cpu").perceptual.name == "the miniature's own network"
    published_lpips(tmp_path / "lpips")
    pack = open_pack(tmp_path, "cpu")
    assert pack.perceptual.name == "LPIPS, AlexNet" and pack.features.name == "the miniature's own network"


def test_the_published_pack_says_where_the_weights_that_measure_go() -> None:
    pack = open_pack("sd15", "cpu")
    with pytest.raises(PackError, match=r"linear heads of lpips v0\.1 as safetensors into .*lpips"):
        _ = pack.perceptual
    with pytest.raises(PackError, match="Inception-v3 of FID"):
        _ = pack.features
