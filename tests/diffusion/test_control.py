"""Control branches change nothing before training, learn, and leave the U-Net that they stand beside alone."""

from collections.abc import Callable

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from pentimento.diffusion.control import RCLDM, EncoderCopy, Residuals, controlled
from pentimento.diffusion.grids import quadrants
from pentimento.diffusion.prompt_control import ControlNet, HintEncoder, PromptControl
from pentimento.diffusion.vmamba import FAST
from toy import CHANNELS, TOKENS, WIDTH, denoiser_network

Answer = Callable[..., Residuals]


def batch() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, CHANNELS, 8, 12, generator=generator)
    return x, torch.tensor([900, 100]), torch.randn(2, TOKENS, WIDTH, generator=generator)


def frozen() -> UNet2DConditionModel:
    return denoiser_network().requires_grad_(False)


def rcldm(unet: UNet2DConditionModel) -> tuple[nn.Module, Answer]:
    torch.manual_seed(3)
    branch = RCLDM(unet, CHANNELS, FAST, blocks=1)
    return branch, lambda *given, seen=0.0: branch(*given, given[0].flip(-1) + seen)


def prompt(unet: UNet2DConditionModel) -> tuple[nn.Module, Answer]:
    torch.manual_seed(3)
    branch = PromptControl(unet, factor=4)
    pictures = torch.randn(3, 2, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    return branch, lambda *given, seen=0.0: branch(*given, *(pictures + seen))


def plain(unet: UNet2DConditionModel) -> tuple[nn.Module, Answer]:
    torch.manual_seed(3)
    branch = ControlNet(unet, factor=4)
    grid = torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    return branch, lambda *given, seen=0.0: branch(*given, grid + seen)


BRANCHES = pytest.mark.parametrize("made", [rcldm, prompt, plain])


@BRANCHES
@torch.no_grad()
def test_before_training_the_answer_is_the_plain_one_bit_for_bit(made: Callable) -> None:
    unet, given = frozen(), batch()
    _, answer = made(unet)
    assert torch.equal(controlled(unet, *given, answer(*given)), unet(*given).sample)


@torch.no_grad()
def test_before_training_no_condition_reaches_the_copied_encoder() -> None:
    unet, (x, _, _) = frozen(), batch()
    seer, reader = RCLDM(unet, CHANNELS, FAST).vision, PromptControl(unet, factor=4).query
    assert not seer(x).any() and not reader(x[:, :3].repeat(1, 1, 4, 4)).any()


@BRANCHES
def test_a_branch_learns_and_its_unet_does_not(made: Callable) -> None:
    unet, given = frozen(), batch()
    before = {name: p.clone() for name, p in unet.named_parameters()}
    branch, answer = made(unet)
    optimiser = torch.optim.AdamW(branch.parameters(), lr=1e-3)
    for _ in range(3):  # the links, what they join and the hint's end, what lies behind that
        optimiser.zero_grad()
        controlled(unet, *given, answer(*given)).square().sum().backward()
        optimiser.step()
    assert [name for name, p in branch.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert all(p.grad is None and torch.equal(p, before[name]) for name, p in unet.named_parameters())
    with torch.no_grad():
        eps = controlled(unet, *given, answer(*given))
        assert not torch.allclose(eps, unet(*given).sample)
        assert not torch.equal(eps, controlled(unet, *given, answer(*given, seen=1.0)))


@torch.no_grad()
def test_the_copy_computes_what_the_unets_own_encoder_does() -> None:
    unet, given = frozen(), batch()
    told: list[Tensor] = []
    hook = unet.mid_block.register_forward_hook(lambda module, inputs, out: told.append(out))
    unet(*given)
    hook.remove()
    features = EncoderCopy(unet)(*given, torch.zeros(2, 8, 8, 12))
    assert torch.equal(features[-1], told[0])


def test_there_is_a_site_for_every_skip_connection_and_the_middle() -> None:
    unet, given = frozen(), batch()
    copy = EncoderCopy(unet)
    features = copy(*given, torch.zeros(2, 8, 8, 12))
    assert tuple(x.shape[1] for x in features) == copy.channels
    assert len(features) == sum(len(block.resnets) for block in unet.up_blocks) + 1


def test_stable_diffusions_unet_has_thirteen_sites() -> None:
    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768)
    assert EncoderCopy(unet).channels == (320,) * 4 + (640,) * 3 + (1280,) * 6


def test_a_branch_of_a_frozen_unet_is_trainable() -> None:
    assert all(p.requires_grad for p in EncoderCopy(frozen()).parameters())


@pytest.mark.parametrize(("factor", "last"), [(1, 16), (2, 32), (8, 256), (16, 256)])
def test_hints_come_at_the_size_of_latents(factor: int, last: int) -> None:
    encoder = HintEncoder(6, 5, factor)
    assert encoder(torch.zeros(1, 6, 2 * factor, 3 * factor)).shape == (1, 5, 2, 3)
    assert encoder.layers[-1].in_channels == last


@torch.no_grad()
@pytest.mark.parametrize("channels", [3, 6])
def test_what_reaches_the_hints_zero_convolution_tells_two_pictures_apart(channels: int) -> None:
    torch.manual_seed(0)
    encoder = HintEncoder(channels, 32, 8)
    pictures = torch.rand(2, channels, 4, 4).mul(2).sub(1).repeat_interleave(32, -1).repeat_interleave(32, -2)
    one, other = encoder.layers[:-1](pictures)
    assert (one - other).norm() > 0.3 * one.norm()
    assert one.abs().mean() > 0.02


@torch.no_grad()
def test_woven_a_cell_of_the_picture_is_seen_where_the_answer_stands_there() -> None:
    unet, shown = frozen(), torch.zeros(1, CHANNELS, 16, 16)
    shown[0, :, 8 + 3, 2] = 5  # a cell of in1; the answer's stands at [11, 8 + 2]
    for weave in (True, False):
        torch.manual_seed(0)
        seer = RCLDM(unet, CHANNELS, FAST, weave=weave).vision
        nn.init.normal_(seer.out.weight)
        answer = quadrants((seer(shown) - seer(0 * shown)).abs().sum(1, keepdim=True)).answer[0, 0]
        there = float(answer[3, 2] / answer.mean())
        assert there > 3 if weave else there < 2, there
