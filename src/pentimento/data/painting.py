"""Visual prompts that a pack paints (InstructGIE Sec. 5, after InstructPix2Pix): groups in words, pairs of pictures by
Prompt-to-Prompt, the best of many seeds by CLIP.

It asks a pack for its text_to_image, its clip and, where groups are to be written, its chat; it knows them as roles.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, Field, model_validator

from ..diffusion.latents import to_picture
from ..diffusion.prompt_to_prompt import Draw, paint_pairs
from ..errors import PackError, RequestError
from ..language.alignment import places
from ..language.groups import EDIT_KINDS, CaptionPair, Group, write_group
from ..roles import Pack
from ..settings import Fraction, GuidanceScale, Steps, Threshold
from ..values import Pair
from .export import check_split
from .grouped import draw_group
from .likeness import Likeness, likenesses, quantiles
from .making import Made, MadePair, Maker, Order
from .scenes import WORLD_VERSION
from .visual_prompts import Layout
from .vocabulary import BACKGROUNDS, NOUNS


class Painting(Layout):
    """How pairs are painted and chosen. The defaults are those of InstructPix2Pix's code on Stable Diffusion 1.5."""

    quadrant: int = Field(256, ge=8, le=1024, description="side of each of a grid's four pictures, in pixels")
    groups: Literal["written", "composed"] = Field(
        "written", description="whether the language model writes groups, or the drawn world's words compose them"
    )
    seeds: int = Field(50, ge=1, le=1000, description="pairs painted for every two captions; the best is kept")
    batch: int = Field(5, ge=1, le=100, description="of these, how many at once")
    steps: Steps = Field(100, description="Euler ancestral steps")
    threshold_from: Fraction = Field(0.1, description="least fraction of the steps that share attention")
    threshold_to: Fraction = Field(0.9, description="largest fraction of the steps that share attention")
    guidance_from: GuidanceScale = Field(7.5, description="least guidance scale")
    guidance_to: GuidanceScale = Field(15.0, description="largest guidance scale")
    shared: Fraction = Field(
        0.25, description="side of the largest self-attention maps that are shared, as a fraction of the latents'"
    )
    measure: Literal["cosine", "quantile"] = Field(
        "cosine", description="what the next three are: CLIP cosines, or quantiles of those of exact drawn pairs"
    )
    image: Threshold = Field(0.7, description="least similarity of the two pictures")
    text: Threshold = Field(0.2, description="least similarity of each picture and its caption")
    direction: Threshold = Field(0.2, description="least directional similarity of pictures and captions")

    @model_validator(mode="after")
    def _ranges_are_ranges(self) -> "Painting":
        for name in ("threshold", "guidance"):
            if getattr(self, f"{name}_from") > getattr(self, f"{name}_to"):
                raise ValueError(f"{name}_from is larger than {name}_to")
        return self


def painted(
    pack: Pack,
    open_pack: Callable[[str], Pack],
    n: int,
    seed: int,
    painting: Painting,
    device: str = "auto",
    split: str = "train",
    groups: Sequence[Group] = (),
) -> Order:
    """The order of a set that a pack paints; `open_pack(device)` opens it again in every process that works.

    `groups` are used instead of written or composed ones when there are any; composed ones are of the world's split.

    Raises:
        RequestError: an unknown split, or fewer than n groups were given.
        PackError: groups are to be written, and the pack has no language model.
    """
    check_split(split)
    if groups and len(groups) < n:
        raise RequestError(f"{n} groups are asked for, and {len(groups)} were given: ask for fewer, or give more")
    source = {"source": "painted", "pack": pack.name, "pack_hash": pack.hash, "split": split}
    if groups:
        text = "\n".join(group.model_dump_json() for group in groups[:n])
        source["groups_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    elif painting.groups == "composed":
        source["world_version"] = str(WORLD_VERSION)
    else:
        _check_that_it_writes(pack)
    return Order(n, seed, painting, source, partial(_begin, open_pack, device, seed, painting, split, tuple(groups)))


def _check_that_it_writes(pack: Pack) -> None:
    try:
        _ = pack.chat
    except PackError as error:
        raise PackError(f"{error}, set groups=composed, or give groups of your own") from None


def _begin(
    open_pack: Callable[[str], Pack],
    device: str,
    seed: int,
    painting: Painting,
    split: str,
    groups: tuple[Group, ...],
    work: Path,
    place: int,
) -> Maker:
    count = torch.cuda.device_count()
    pack = open_pack(f"cuda:{place % count}" if device == "auto" and count > 1 else device)
    return Painter(pack, painting, seed, split, groups, work)


@dataclass(frozen=True)
class Painter:
    """Paints one group after the other (a `making.Maker`); texts and thresholds that cannot be had twice the same go
    into the working folder."""

    pack: Pack
    painting: Painting
    seed: int
    split: str
    groups: tuple[Group, ...]
    work: Path

    def __call__(self, number: int) -> Made:
        """Group `number`, with the best pair of every two captions where one passes."""
        group = self._group(number)
        if group is None:
            return Made(None, ())
        with _one_thread():
            pairs = [self._best(number, i, pair) for i, pair in enumerate(group.pairs)]
        return Made(group, tuple(pair for pair in pairs if pair is not None))

    @cached_property
    def _least(self) -> Likeness:
        """What a pair must reach: the settings, or those quantiles."""
        asked = Likeness(image=self.painting.image, text=self.painting.text, direction=self.painting.direction)
        if self.painting.measure == "cosine":
            return asked
        size, withheld = self.pack.text_to_image.size, self.painting.withheld
        text = _kept(self.work / "least.json", lambda: quantiles(self.pack.clip, asked, size, withheld))
        return Likeness.model_validate_json(text)

    def _group(self, number: int) -> Group | None:
        if self.groups:
            return self.groups[number]
        if self.painting.groups == "composed":
            return draw_group(self.seed, number, self.split).group
        written = self.work / "groups" / f"{number:06d}.written"
        rng = np.random.default_rng([52, self.seed, number])
        kind = EDIT_KINDS[int(rng.integers(len(EDIT_KINDS)))]
        about = [str(rng.choice(list(NOUNS))), str(rng.choice(list(BACKGROUNDS.values())))]
        if not written.exists():
            group = write_group(self.pack.chat, kind, about)
            if group is None:
                return None
            _kept(written, lambda: group)
        return Group.model_validate_json(written.read_text(encoding="utf-8"))

    def _best(self, number: int, index: int, pair: CaptionPair) -> MadePair | None:
        """The best of the seeds by directional similarity, of those that pass (InstructGIE Sec. 5, step 2)."""
        said = self.pack.clip.embed_texts([pair.before, pair.after])
        best, farthest = None, float("-inf")
        for start in range(0, self.painting.seeds, self.painting.batch):
            seeds = range(start, min(start + self.painting.batch, self.painting.seeds))
            draws = [self._draw(number, index, k) for k in seeds]
            before, after = self._painted(pair, draws)
            found = likenesses(self.pack.clip.embed_images(before), self.pack.clip.embed_images(after), said)
            for k, draw, one, other, likeness in zip(seeds, draws, before, after, found, strict=True):
                if likeness.reaches(self._least) and likeness.direction > farthest:
                    farthest = likeness.direction
                    about = {"seed": k, "threshold": draw.threshold, "guidance": draw.guidance}
                    best = MadePair(index, Pair(one, other), about | likeness.model_dump())
        return best

    def _draw(self, number: int, index: int, k: int) -> Draw:
        digest = hashlib.sha256(f"{self.seed}:{number}:{index}:{k}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:7]))
        t, g = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        low, high = self.painting.threshold_from, self.painting.threshold_to
        weak, strong = self.painting.guidance_from, self.painting.guidance_to
        return Draw(generator, low + t * (high - low), weak + g * (strong - weak))

    @torch.no_grad()
    def _painted(self, pair: CaptionPair, draws: Sequence[Draw]) -> tuple[list[Image.Image], list[Image.Image]]:
        model = self.pack.text_to_image
        texts = model.encode_text([pair.before, pair.after, ""])
        aligned = places(model.words(pair.before), model.words(pair.after), texts.shape[1])
        side = model.size // model.autoencoder.factor
        with model.same_texts():
            latents = paint_pairs(
                model.denoise, model.unet, texts[:2], texts[2:], aligned,
                torch.zeros(1, model.autoencoder.latent_channels, side, side), draws, model.alphas_cumprod,
                self.painting.steps, int(self.painting.shared * side),
            )  # fmt: skip
        before, after = ([to_picture(model.autoencoder.decode(one[None])) for one in pictures] for pictures in latents)
        return before, after


def _kept(path: Path, make: Callable[[], BaseModel]) -> str:
    """What the file holds; when there is none, what `make` gives, written whole."""
    if not path.exists():
        whole = path.with_suffix(f".{os.getpid()}.partial")
        whole.write_text(make().model_dump_json(), encoding="utf-8")
        whole.replace(path)
    return path.read_text(encoding="utf-8")


@contextmanager
def _one_thread() -> Iterator[None]:
    """The last bits of a sum depend on how many threads share it; so all processes compute on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
