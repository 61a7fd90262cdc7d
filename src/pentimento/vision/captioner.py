"""Pictures to words: what a detector sees, told by a small word decoder (kind "word_captioner").

BLIP-2's role (InstructEdit Sec. 3.2) in the miniature. The detector's proposals say what stands where, a second small
encoder sees place, light and style. The vocabulary is the world's, stored with the model. One model answers everything:
the kind of art is what a caption says before "of", and "photo of" is a caption's start.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from .detector import DetectorNet, Places, config_through, cut, fit, propose, save_through
from .layers import ImageEncoder, TextBlock
from .store import read_weights

KIND = "word_captioner"
PAD, START, END, UNKNOWN = 0, 1, 2, 3
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")


@dataclass(frozen=True)
class CaptionerConfig:
    """What builds a `CaptionerNet`. `words` begins with `SPECIAL`."""

    words: tuple[str, ...]
    things: int = 6  # proposals of things that are looked at, at most
    parts: int = 3  # the same of parts
    widths: tuple[int, ...] = (24, 48, 64, 96)
    blocks: tuple[int, ...] = (1, 1, 1, 1)
    width: int = 160
    layers: int = 2
    length: int = 56  # words at most, with <start>


class CaptionerNet(nn.Module):
    """Pictures (b, 3, side, side) in [-1, 1] and words (b, n) to logits of the next word, (b, n, vocabulary).

    It looks through a trained detector, which is not trained any further: its norms keep their statistics.
    """

    def __init__(self, config: CaptionerConfig, detector: DetectorNet):
        super().__init__()
        self.config = config
        width, inside = config.width, detector.config
        self.detector = detector.eval().requires_grad_(False)
        self.thing = nn.Linear(inside.widths[-1] + 2 * inside.match + 6, width)
        self.nothing = nn.Parameter(torch.randn(width) * 0.02)
        self.scene = ImageEncoder(config.widths, config.blocks)
        self.around = nn.Linear(config.widths[-1], width)
        self.place = nn.Parameter(torch.randn((inside.side // 32) ** 2, width) * 0.1)
        self.seen = nn.LayerNorm(width)
        self.look = nn.ModuleList([TextBlock(width)])
        self.word = nn.Embedding(len(config.words), width)
        self.position = nn.Parameter(torch.randn(config.length, width) * 0.02)
        self.blocks = nn.ModuleList(TextBlock(width, cross=True) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, len(config.words))
        nn.init.normal_(self.word.weight, std=0.05)

    def train(self, mode: bool = True) -> "CaptionerNet":
        super().train(mode)
        self.detector.eval()
        return self

    def see(self, pictures: Tensor) -> Tensor:
        """What the decoder attends to, (b, things + parts + cells, width)."""
        features, there = describe(self.detector, pictures, (self.config.things, self.config.parts))
        things = torch.where(there[..., None], self.thing(features), self.nothing.expand(*there.shape, -1))
        around = self.around(self.scene(pictures)[-1].flatten(2).transpose(1, 2)) + self.place
        x = self.seen(torch.cat([things, around], 1))
        for block in self.look:
            x = block(x)
        return x

    def say(self, seen: Tensor, words: Tensor) -> Tensor:
        n = words.shape[1]
        x = self.word(words) + self.position[:n]
        causal = torch.ones(n, n, dtype=torch.bool, device=words.device).tril()
        for block in self.blocks:
            x = block(x, causal, seen)
        return self.out(self.norm(x)).float()

    def forward(self, pictures: Tensor, words: Tensor) -> Tensor:
        return self.say(self.see(pictures), words)


@torch.no_grad()
def describe(net: DetectorNet, pictures: Tensor, counts: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The best proposals of pictures (b, 3, side, side): features (b, m, d), and which of the m are there, bool (b, m).

    `counts` are the most of each kind, m their sum. The features are the crop's, its two views, its box in fractions
    of the side, how likely it is, and its kind.
    """
    config, places = net.config, net(pictures)
    boxes = pictures.new_zeros(len(pictures), sum(counts), 4)
    likely = pictures.new_zeros(len(pictures), sum(counts))
    for i in range(len(pictures)):
        one = Places(*(part[i : i + 1] for part in places))
        for kind, (count, start) in enumerate(zip(counts, (0, counts[0]), strict=True)):
            found, score = propose(one, kind, config)
            found, score = found[:count], score[:count]
            boxes[i, start : start + len(found)], likely[i, start : start + len(found)] = found, score
    there = likely >= 0.2
    pooled = net.encoder(cut(pictures, boxes, config.crop)[there])[-1].mean((2, 3))  # (n, d)
    own = torch.cat([pooled, net.view(pooled) * 0.3], 1).float()
    kinds = torch.repeat_interleave(torch.tensor([0.0, 1.0]), torch.tensor(counts)).to(boxes)
    rest = torch.cat([boxes / config.side, likely[..., None], kinds.expand(len(boxes), -1)[..., None]], 2)
    features = own.new_zeros(*there.shape, own.shape[1]).masked_scatter(there[..., None], own)
    return torch.cat([features, rest], 2), there


def split_words(caption: str) -> list[str]:
    """Words and punctuation marks, lower-cased."""
    return re.findall(r"[\w'-]+|[,.;:]", caption.lower())


def join_words(words: Iterable[str]) -> str:
    """The inverse of `split_words`."""
    return re.sub(r" ([,.;:])", r"\1", " ".join(words))


def vocabulary(captions: Iterable[str]) -> tuple[str, ...]:
    """`SPECIAL` and every word of the captions, sorted."""
    return SPECIAL + tuple(sorted({word for caption in captions for word in split_words(caption)}))


def to_ids(captions: Sequence[str], words: Sequence[str], length: int) -> Tensor:
    """Captions between <start> and <end> as word numbers, long (b, length), padded and cut."""
    index = {word: i for i, word in enumerate(words)}
    out = torch.full((len(captions), length), PAD, dtype=torch.long)
    for row, caption in enumerate(captions):
        ids = [START, *(index.get(word, UNKNOWN) for word in split_words(caption)), END][:length]
        out[row, : len(ids)] = torch.tensor(ids)
    return out


def caption_loss(logits: Tensor, ids: Tensor) -> Tensor:
    """Mean cross-entropy of the next word, over all words that are not padding."""
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=PAD)


@dataclass(frozen=True)
class WordCaptioner:
    """Fulfils `roles.Captioner` for pictures of any size; always says the likeliest next word."""

    net: CaptionerNet

    def ask(self, image: Image.Image, prompt: str) -> str:
        """A question about the kind of art gives "photo", "pencil sketch" and so on; a start such as "photo of"
        gives its completion without the start; an empty prompt or any other question gives the whole caption.
        """
        text = " ".join(prompt.split())
        if text.endswith("?"):
            caption = self._complete(image, [])
            return (
                join_words(_before_of(caption))
                if re.search(r"\b(art|photo|painting|style)\b", text.lower())
                else join_words(caption)
            )
        return join_words(self._complete(image, split_words(text.removesuffix(":"))))

    @torch.no_grad()
    def _complete(self, image: Image.Image, start: list[str]) -> list[str]:
        config, device = self.net.config, next(self.net.parameters()).device
        index = {word: i for i, word in enumerate(config.words)}
        ids = [START, *(index.get(word, UNKNOWN) for word in start)][: config.length - 1]
        begun = len(ids)
        picture = torch.from_numpy(fit(image, self.net.detector.config.side)[0]).to(device)
        seen = self.net.see(picture.permute(2, 0, 1)[None].float() / 127.5 - 1)
        while len(ids) < config.length:
            logits = self.net.say(seen, torch.tensor([ids], device=device))[0, -1]
            logits[[PAD, START, UNKNOWN]] = -torch.inf
            word = int(logits.argmax())
            if word == END:
                break
            ids.append(word)
        return [config.words[i] for i in ids[begun:]]


def _before_of(words: list[str]) -> list[str]:
    return words[: words.index("of")] if "of" in words else words[:2]


def save(net: CaptionerNet, folder: Path) -> None:
    """Write config.json and model.safetensors (fp16) without the detector, which has a folder of its own."""
    save_through(net, KIND, folder)


def load(folder: Path, eyes: DetectorNet) -> WordCaptioner:
    """A captioner from its folder, and the detector's net that it looks through.

    Raises: PackError, also when it learned to look through another detector.
    """
    net = CaptionerNet(CaptionerConfig(**config_through(folder, KIND, eyes)), eyes)
    read_weights(net, folder, has="detector")
    return WordCaptioner(net)
