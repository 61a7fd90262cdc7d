"""The judge: a small network that answers questions about a view, such as which noun it shows and in which colour.

For measuring alone; no editor may see it. Which questions an edit asks is `data.judging`'s affair, not this file's.
It classifies factors (one softmax a factor) where a second CLIP would compare sentences: each answer comes with a
probability that can be thresholded, and a softmax over known words learns in minutes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .layers import ImageEncoder
from .store import read_config, read_weights, write_model

KIND = "factor_judge"


@dataclass(frozen=True)
class JudgeConfig:
    """`words` are the possible answers by factor; `thresholds` say by kind of edit how sure a judge must be to say yes
    (validation)."""

    words: Mapping[str, tuple[str, ...]]
    side: int = 64
    widths: tuple[int, ...] = (48, 96, 160, 224)
    blocks: tuple[int, ...] = (1, 1, 1, 1)
    hidden: int = 320
    thresholds: Mapping[str, float] = field(default_factory=dict)


class JudgeNet(nn.Module):
    """Views (b, 3, side, side) in [-1, 1] to logits by factor, (b, words)."""

    def __init__(self, config: JudgeConfig):
        super().__init__()
        self.config = config
        self.encoder = ImageEncoder(config.widths, config.blocks)
        self.hidden = nn.Sequential(
            nn.Linear(config.widths[-1] * (config.side // 32) ** 2, config.hidden), nn.ReLU(), nn.Dropout(0.1)
        )
        self.heads = nn.ModuleDict(
            {factor: nn.Linear(config.hidden, len(words)) for factor, words in config.words.items()}
        )

    def forward(self, views: Tensor) -> dict[str, Tensor]:
        x = self.encoder(views)[-1].flatten(1)  # (b, width * cells)
        x = self.hidden(x)  # (b, hidden)
        return {factor: head(x) for factor, head in self.heads.items()}


@dataclass(frozen=True, eq=False)
class Judge:
    """A loaded judge. `probabilities` takes views, uint8 (side, side, 3), and answers (n, words) by factor."""

    net: JudgeNet

    @property
    def words(self) -> Mapping[str, tuple[str, ...]]:
        return self.net.config.words

    @property
    def thresholds(self) -> Mapping[str, float]:
        return self.net.config.thresholds

    @torch.no_grad()
    def probabilities(self, views: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        device = next(self.net.parameters()).device
        logits = self.net(as_tensor(views).to(device))
        return {factor: values.float().softmax(-1).cpu().numpy() for factor, values in logits.items()}


def as_tensor(views: Sequence[np.ndarray]) -> Tensor:
    """Views, uint8 (side, side, 3), as one batch (b, 3, side, side) in [-1, 1]."""
    return torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def grow(net: JudgeNet, earlier: JudgeNet) -> bool:
    """Give `net` all that `earlier` knows, and its answers, though it may have more blocks: those begin as the
    identity. False, and `net` untouched, when they differ in more than that."""
    own, known = net.state_dict(), earlier.state_dict()
    if any(name not in own or own[name].shape != tensor.shape for name, tensor in known.items()):
        return False
    net.load_state_dict(known, strict=False)
    for name in own.keys() - known.keys():
        if name.endswith(("norm.weight", "norm.bias")):
            own[name].zero_()
    return True


def save(net: JudgeNet, folder: Path, thresholds: Mapping[str, float]) -> None:
    """Write config.json and model.safetensors into `folder`."""
    write_model(net, {"kind": KIND} | asdict(net.config) | {"thresholds": dict(thresholds)}, folder)


def load(folder: Path) -> Judge:
    """The judge that was saved in `folder`.

    Raises: PackError when the folder holds none.
    """
    stored = {key: value for key, value in read_config(folder, KIND).items() if key != "kind"}
    stored["words"] = {factor: tuple(words) for factor, words in stored["words"].items()}
    stored |= {"widths": tuple(stored["widths"]), "blocks": tuple(stored["blocks"])}
    net = JudgeNet(JudgeConfig(**stored))
    read_weights(net, folder)
    return Judge(net)
