import torch
from torch import Tensor
from torch.nn import functional as F

from pentimento.diffusion.grids import quadrants
from pentimento.diffusion.schedule import cosine_alphas_cumprod
from pentimento.diffusion.shift_guidance import shift_guided
from pentimento.diffusion.visual_losses import one_step_x0, shift_losses

ALPHAS = cosine_alphas_cumprod()
DRAW = torch.Generator().manual_seed(0)
PAIR, QUERY = torch.randn(2, 3, 4, 4, generator=DRAW), torch.randn(1, 3, 4, 4, generator=DRAW)
X, EPS, T = torch.randn(1, 3, 8, 8, generator=DRAW), torch.randn(1, 3, 8, 8, generator=DRAW), torch.tensor([300])


def embed(pixels: Tensor) -> Tensor:
    return pixels.flatten(1)


def guided(scale: float) -> Tensor:
    noise = shift_guided(lambda x, t: EPS + 0 * x, PAIR, QUERY, lambda z: z, embed, ALPHAS, scale)
    with torch.no_grad():
        return noise(X, T)


def loss(eps: Tensor) -> float:
    answer = quadrants(one_step_x0(X, eps, T, ALPHAS)).answer
    before, after, query, seen = F.normalize(embed(torch.cat([PAIR, QUERY, answer])), dim=-1).split(1)
    return float(shift_losses(query - seen, before - after))


def test_a_scale_of_zero_changes_nothing() -> None:
    assert torch.equal(guided(0.0), EPS)


def test_guided_noise_means_an_answer_that_is_shifted_more_like_the_example() -> None:
    assert loss(guided(0.3)) < loss(guided(0.1)) < loss(EPS)


def test_only_the_answers_quadrant_is_turned_where_the_model_looks_at_nothing_else() -> None:
    difference = guided(0.5) - EPS
    assert difference[..., 4:, 4:].any() and not difference[..., :4, :].any() and not difference[..., 4:, :4].any()
    length = (1 - ALPHAS[300]).sqrt() * 0.5 * EPS.norm()
    assert torch.isclose(difference.norm(), length, rtol=1e-4)
