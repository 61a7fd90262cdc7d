"""The few layers that the miniature's vision models share: convolution blocks, attention, the image encoder.

Plain 3x3 convolutions and batch norm: with group norm a classifier of the world's nouns stood at 31 % after 12,800
crops, with batch norm at 61 %, in less time.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvNorm(nn.Sequential):
    """3x3 convolution, batch norm, ReLU."""

    def __init__(self, inside: int, outside: int, stride: int = 1):
        super().__init__(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut, one norm: on a CPU a norm costs as much as a convolution."""

    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, 1, 1)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        nn.init.constant_(self.norm.weight, 0.2)  # starts near the identity

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm(self.second(F.relu(self.first(x)))))


class ImageEncoder(nn.Module):
    """Feature maps at strides 4, 8, 16 and 32 of pictures (b, 3, h, w) in [-1, 1], one for each of `widths`."""

    def __init__(self, widths: tuple[int, ...] = (48, 96, 160, 224), blocks: tuple[int, ...] = (1, 2, 2, 1)):
        super().__init__()
        self.stem = ConvNorm(3, 24, 2)
        stages, inside = [], 24
        for width, count in zip(widths, blocks, strict=True):
            stages.append(nn.Sequential(ConvNorm(inside, width, 2), *(Residual(width) for _ in range(count))))
            inside = width
        self.stages = nn.ModuleList(stages)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        x, maps = self.stem(pictures), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class Fuse(nn.Module):
    """A feature pyramid from the top down: maps of falling size to one map of the first one's size."""

    def __init__(self, widths: tuple[int, ...], width: int):
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(inside, width, 1) for inside in widths)
        self.smooth = nn.ModuleList(ConvNorm(width, width) for _ in widths[:-1])

    def forward(self, maps: list[Tensor]) -> Tensor:
        x = self.lateral[-1](maps[-1])
        for level in reversed(range(len(maps) - 1)):
            x = F.interpolate(x, size=maps[level].shape[-2:], mode="nearest")
            x = self.smooth[level](self.lateral[level](maps[level]) + x)
        return x  # (b, width, h / 4, w / 4)


class Attention(nn.Module):
    """Multi-head attention of x (b, n, d) over `context` (b, m, d)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.value = nn.Linear(width, width), nn.Linear(width, width)
        self.key, self.out = nn.Linear(width, width, bias=False), nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor, allowed: Tensor | None = None) -> Tensor:
        """`allowed` is a bool mask that broadcasts to (b, heads, n, m)."""
        q, k, v = (_split(part, self.heads) for part in (self.query(x), self.key(context), self.value(context)))
        weights = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5  # (b, heads, n, m)
        if allowed is not None:
            weights = weights.masked_fill(~allowed, -1e4)
        return self.out((weights.float().softmax(-1).to(v.dtype) @ v).transpose(1, 2).flatten(2))


def _split(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # (b, heads, n, d)


class TextBlock(nn.Module):
    """A pre-norm transformer block; with `cross` it also attends to a second sequence."""

    def __init__(self, width: int, heads: int = 4, cross: bool = False):
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.cross_norm = nn.LayerNorm(width) if cross else None
        self.cross = Attention(width, heads) if cross else None
        self.feed = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width)
        )

    def forward(self, x: Tensor, allowed: Tensor | None = None, context: Tensor | None = None) -> Tensor:
        inside = self.norm(x)
        x = x + self.attention(inside, inside, allowed)
        if self.cross is not None and self.cross_norm is not None:
            x = x + self.cross(self.cross_norm(x), context)
        return x + self.feed(x)


def spell(phrases: list[str] | tuple[str, ...], words: int = 6, letters: int = 14) -> Tensor:
    """Phrases as the bytes of their words, uint8 (b, words, letters), 0 where nothing is.

    Lower-cased, without articles and punctuation. Longer phrases keep their last words (the noun stands
    there); longer words keep their first letters.
    """
    out = torch.zeros(len(phrases), words, letters, dtype=torch.uint8)
    for row, phrase in enumerate(phrases):
        for column, word in enumerate(plain_words(phrase)[-words:]):
            bytes_ = word.encode("utf-8")[:letters]
            out[row, column, : len(bytes_)] = torch.tensor(list(bytes_), dtype=torch.uint8)
    return out


def plain_words(phrase: str) -> list[str]:
    """The lower-cased words of a phrase without articles and punctuation."""
    words = "".join(c if c.isalnum() or c in "-'" else " " for c in phrase.lower()).split()
    return [word for word in words if word not in ("a", "an", "the")]


class PhraseEncoder(nn.Module):
    """Spelled phrases (b, words, letters) to one vector each, (b, width).

    A word is a letter convolution, so that plurals have a place near their singulars, plus a row of a table that its
    letters' hash picks, so that words of the world are told apart from the first step on. Then two transformer blocks
    over the words. Every different word of a batch is read once.
    """

    def __init__(self, width: int = 128, words: int = 6, letters: int = 14, rows: int = 2048):
        super().__init__()
        self.words, self.letters = words, letters
        self.letter = nn.Embedding(256, 32)
        self.place = nn.Parameter(torch.randn(letters, 32) * 0.1)
        self.read = nn.Sequential(
            nn.Conv1d(32, width, 3, padding=1), nn.GELU(), nn.Conv1d(width, width, 3, padding=1), nn.GELU()
        )
        self.word = nn.Linear(width, width)
        self.table = nn.Embedding(rows, width)
        primes = torch.tensor([pow(31, place, 1_000_003) for place in range(letters)])
        self.register_buffer("primes", primes, persistent=False)
        self.position = nn.Parameter(torch.randn(words + 1, width) * 0.02)
        self.blocks = nn.ModuleList(TextBlock(width) for _ in range(2))
        self.norm = nn.LayerNorm(width)

    def forward(self, spelled: Tensor) -> Tensor:
        rows = spelled.long().flatten(0, 1)  # (b * words, letters)
        different, where = torch.unique(rows, dim=0, return_inverse=True)
        letters = (self.letter(different) + self.place).transpose(1, 2)  # (n, 32, letters)
        read = self.read(letters).masked_fill((different == 0)[:, None], 0.0)  # (n, width, letters)
        known = self.word(read.amax(-1)) + self.table((different * self.primes).sum(-1) % self.table.num_embeddings)
        known = known * (different > 0).any(-1, keepdim=True)  # (n, width)
        words = known[where].unflatten(0, spelled.shape[:2])  # (b, words, width)
        here = (spelled > 0).any(-1)  # (b, words)
        x = torch.cat([words.sum(1, keepdim=True), words], 1) + self.position
        allowed = torch.cat([torch.ones_like(here[:, :1]), here], 1)[:, None, None]  # (b, 1, 1, words + 1)
        for block in self.blocks:
            x = block(x, allowed)
        return self.norm(x[:, 0])
