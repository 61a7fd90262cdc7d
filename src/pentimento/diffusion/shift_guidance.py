"""Sampling guided by an example's editing shift (InstructGIE Sec. 4.1: it "can further guide the sampling process")."""

import torch
from torch import Tensor
from torch.nn import functional as F

from .grids import quadrants
from .objectives import Noise
from .visual_losses import Decode, Embed, one_step_x0, shift_losses


def shift_guided(
    noise: Noise, example: Tensor, query: Tensor, decode: Decode, embed: Embed, alphas_cumprod: Tensor, scale: float
) -> Noise:
    """`noise` (x_t, t) -> eps of grids, turned towards answers that differ from the query as the example does.

    example (2, 3, h, w) are the pictures before and after, query (1, 3, h, w) the picture to edit, in [-1, 1]. The loss
    is 1 - cos of their editing shifts (InstructGIE Eq. 4-5, a pair each) at the clean answer that eps means in one
    step; its gradient at x_t is added as classifier guidance adds one (Dhariwal & Nichol 2021, Sec. 4.2), but at a
    length of `scale` times that of eps: the paper gives neither a form nor a weight. The U-Net is differentiated too.
    """
    with torch.no_grad():
        before, after, seen = F.normalize(embed(torch.cat([example, query])), dim=-1).split(1)  # (1, d) each

    def guided(x_t: Tensor, t: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x_t.detach().requires_grad_()
            eps = noise(x, t)
            answer = decode(quadrants(one_step_x0(x, eps, t, alphas_cumprod)).answer)
            loss = shift_losses(seen - F.normalize(embed(answer), dim=-1), before - after).sum()
            (gradient,) = torch.autograd.grad(loss, x)
        alpha = alphas_cumprod.to(x.device)[t.to(x.device)].view(-1, 1, 1, 1)
        length = eps.flatten(1).norm(dim=1) / gradient.flatten(1).norm(dim=1).clamp(min=1e-12)
        return (eps + scale * (1 - alpha).sqrt() * length.view(-1, 1, 1, 1) * gradient).detach()

    return guided
