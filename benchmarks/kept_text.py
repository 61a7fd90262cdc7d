"""What it saves to compute the keys and values of a text once an edit, and not at every step.

    python benchmarks/kept_text.py                       # the miniature's U-Net, and a block of Stable Diffusion 1.5
    python benchmarks/kept_text.py --dtype bf16 --repeats 20

Calls with and without `diffusion.attention.Kept` take turns, and seconds are the process's own CPU seconds, so that
what else the machine does weighs less. A call is one step of an edit, two rows. The block stands for its depth of the
U-Net (1280 channels, 16x16 latents, 77 tokens); its weights are random, since time does not depend on them.
"""

import argparse
from collections.abc import Callable
from time import process_time

import torch
from diffusers.models.attention import BasicTransformerBlock
from torch import Tensor, nn
from turns import estimate, ratios

from pentimento.diffusion.attention import Kept
from pentimento.packs import open_pack
from pentimento.packs.placement import place

ROWS = 2


class Block(nn.Module):
    """A transformer block of Stable Diffusion 1.5 that is called as a U-Net is, or its cross-attention alone."""

    def __init__(self, channels: int = 1280, alone: bool = False):
        super().__init__()
        block = BasicTransformerBlock(channels, 8, channels // 8, cross_attention_dim=768).eval().requires_grad_(False)
        self.alone, self.attn2, self.block = alone, block.attn2, block

    def forward(self, x: Tensor, t: Tensor, encoder_hidden_states: Tensor) -> Tensor:
        if self.alone:
            return self.attn2(x, encoder_hidden_states=encoder_hidden_states)
        return self.block(x, encoder_hidden_states=encoder_hidden_states)


def calls(pack: str, dtype: str) -> dict[str, tuple[nn.Module, Callable[[], object]]]:
    """What is timed, by name: a module, and a call of it."""
    placement, model = place("cpu", dtype), open_pack(pack, device="cpu", dtype=dtype).text_to_image
    generator, t = torch.Generator().manual_seed(0), torch.full((ROWS,), 500)
    side = model.size // model.autoencoder.factor
    x = torch.randn(ROWS, model.autoencoder.latent_channels, side, side, generator=generator)
    states = model.encode_text(["photo of a cat", ""])
    hidden = torch.randn(ROWS, 16 * 16, 1280, generator=generator)
    text = torch.randn(ROWS, 77, 768, generator=generator)

    def called(module: nn.Module) -> Callable[[], object]:
        def call() -> object:
            with placement.autocast():
                return module(hidden, t, encoder_hidden_states=text)

        return call

    whole, alone = Block(), Block(alone=True)
    return {
        f"{pack}, a step": (model.unet, lambda: model.denoise(x, t, states)),
        "SD 1.5, a block": (whole, called(whole)),
        "SD 1.5, its cross-attention": (alone, called(alone)),
    }


def seconds(call: Callable[[], object], times: int) -> float:
    began = process_time()
    for _ in range(times):
        call()
    return (process_time() - began) / times


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", default="miniature")
    parser.add_argument("--dtype", default="fp32", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--repeats", type=int, default=9, help="turns")
    parser.add_argument("--calls", type=int, default=5, help="calls a turn")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{given.dtype}, one thread, {given.repeats} turns of {given.calls} calls, CPU seconds, 95 % intervals")
    for name, (module, call) in calls(given.pack, given.dtype).items():
        plain, kept = [], []
        seconds(call, 2)
        for _ in range(given.repeats):
            plain.append(seconds(call, given.calls))
            with Kept(module):
                call()  # projects the text, which an edit pays once
                kept.append(seconds(call, given.calls))
        one, other, saved = estimate(plain), estimate(kept), estimate(ratios(kept, plain))
        print(
            f"{name}: {1000 * one.median:.2f} ms, kept {1000 * other.median:.2f} ms, "
            f"{saved.median:.3f} of it ({saved.low:.3f} to {saved.high:.3f})"
        )


if __name__ == "__main__":
    main()
