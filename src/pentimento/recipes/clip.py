"""The miniature's CLIP: contrastive over scenes and captions, with hard negatives (the scene made wrong in one thing).

Whole captions teach places, lights and colours long before nouns: half of the pictures are close-ups of one thing,
whose hard negatives name another noun, and every picture of one thing is asked which of all nouns it shows. So is every
patch that lies on a thing: a picture has one caption, but 64 patches. Nor do whole captions teach what stands where:
every picture of several things is asked for the place of one of them, too. Words learn that in front of eyes that stand
still, while they learn nothing else; of all lessons mixed they do not (docs/LOG.md).

The vision tower is a ResNet, not a ViT: of equally many pictures it learns many times as much (docs/LOG.md). Its states
are pooled with their `Moments`, or no caption's places could be told.

Its text tower is also the start of the U-Net's text encoder, and begins as that of an earlier CLIP.
"""

from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ..data.captions import caption, hard_negative, phrase, position, training_caption, vocabulary
from ..data.close_ups import WHOLE, Frame, close_layout, close_up, frame_around, framed
from ..data.scenes import Scene, draw_scene
from ..data.store import scene_store
from ..data.vocabulary import NOUNS, PLACES
from ..errors import TrainingError
from ..language.lexicon import article
from ..packs.pack import PHRASES
from ..training import Job, TrainSettings, warm_start
from ..vision.clip import flattened
from .autoencoder import pictures
from .layout import scene_layouts
from .text import TOKENS, WIDTH, ids_of, text_encoder, tokenizer

TEXT_LENGTHS = 4
"""How many groups texts are sorted into by their lengths, to be embedded."""


class Settings(TrainSettings):
    """Measured: see docs/LOG.md."""

    images: int = Field(200_000, ge=1)
    batch_size: int = Field(128, ge=2)
    lr: float = Field(1e-3, gt=0)
    warmup_images: int = 8_000
    cooldown: float = 0.4
    ema: float = Field(6_000, ge=0)
    weight_decay: float = 0.05
    widths: tuple[int, ...] = Field((48, 96, 192), min_length=2, max_length=4, description="channels of the stages")
    blocks: tuple[int, ...] = Field((1, 2, 2), min_length=2, max_length=4, description="residual blocks of the stages")
    scenes: int = Field(40_000, ge=1, description="scenes to learn from")
    close_ups: float = Field(0.5, ge=0, le=1, description="fraction of close-ups of one thing")
    patches: float = Field(1.0, ge=0, description="weight of what single patches are asked")
    places: float = Field(2.0, ge=0, description="weight of the question what stands where")
    places_alone: int = Field(40_000, ge=0, description="images of which the words alone learn this, and nothing else")
    places_from: int = Field(
        80_000, ge=0, description="images before these; 0 when a run goes on from a CLIP that sees"
    )
    data: Path = Path("runs/data")


@dataclass
class Batch:
    """Pictures (b, 3, h, w) in [-1, 1], ids of their captions and of one hard negative each (b, tokens), which of
    NOUNS a picture shows (b,), -1 where it shows several things or none, and each of its patches (b, patches), -1 where
    no thing is; of which pictures it is asked what stands where (asked,), and the answers, the right one first (asked,
    3, tokens). Without captions (0, tokens) nothing but that is asked."""

    pixels: Tensor
    ids: Tensor
    negative: Tensor
    nouns: Tensor
    patches: Tensor
    asked: Tensor
    answers: Tensor


def model(settings: Settings, text: nn.Module) -> nn.Module:
    """A dual encoder of a new ResNet and a text tower."""
    from transformers import ResNetConfig, ResNetModel, VisionTextDualEncoderModel

    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=settings.widths[0], hidden_sizes=list(settings.widths), depths=list(settings.blocks),
        layer_type="basic", hidden_size=3 * settings.widths[-1], image_size=128,
    )  # fmt: skip
    clip = VisionTextDualEncoderModel(vision_model=ResNetModel(config), text_model=text)
    clip.visual_projection = nn.Linear(config.hidden_size, WIDTH, bias=False)  # of `Moments`
    clip.text_projection = nn.Linear(WIDTH, WIDTH, bias=False)
    clip.config.projection_dim = WIDTH
    return flattened(clip)


def of_one_thing(scene: Scene, rng: np.random.Generator) -> tuple[Frame, str, str, str]:
    """The frame of a close-up of a thing, its caption, the same caption with a noun that the scene lacks, and the
    thing's own noun; none where another thing is in the middle of it too."""
    thing = scene.things[int(rng.integers(len(scene.things)))]
    frame = frame_around([thing], rng)
    alone = framed(replace(scene, things=(thing,)), frame)
    there = {t.noun for t in scene.things}
    noun = str(rng.choice([n for n in NOUNS if n not in there]))
    crowded = any(frame.holds(other.x, other.y) for other in scene.things if other.noun != thing.noun)
    other = replace(alone, things=tuple(replace(t, noun=noun) for t in alone.things))
    manner = int(rng.integers(1 << 32))
    text, wrong = (training_caption(s, np.random.default_rng(manner)) for s in (alone, other))
    return frame, text, wrong, "" if crowded else thing.noun


def where_it_stands(scene: Scene, rng: np.random.Generator) -> tuple[str, str, str] | None:
    """One of two unlike things in its own place, then in the other's place, and the other thing in its own; None where
    no two differ so much that both of these are wrong."""
    places = [position(scene, i) for i in range(len(scene.things))]
    names = [phrase(thing, scene.grey) for thing in scene.things]
    true = {*zip(names, places, strict=True), *((t.noun, place) for t, place in zip(scene.things, places, strict=True))}
    pairs = [
        (i, j)
        for i, j in permutations(range(len(names)), 2)
        if not {(names[i], places[j]), (names[j], places[i])} & true
    ]
    if not pairs:
        return None
    i, j = pairs[int(rng.integers(len(pairs)))]
    one, other = (f"{scene.style} of {article(names[k])}" for k in (i, j))
    return f"{one} {places[i]}", f"{one} {places[j]}", f"{other} {places[i]}"


def nouns_of_patches(plan: np.ndarray, across: int) -> np.ndarray:
    """Which of NOUNS each of across x across patches shows, row by row: of those that own cells of the layout's first
    plane (SIDE, SIDE) inside it the one with the most, if that is a quarter of them; else -1."""
    each = len(plan) // across
    cells = plan.reshape(across, each, across, each).transpose(0, 2, 1, 3).reshape(across * across, each * each)
    counts = (cells[..., None] == len(PLACES) + np.arange(len(NOUNS))).sum(1)  # (patches, nouns)
    return np.where(counts.max(1) >= each * each / 4, counts.argmax(1), -1)


def contrastive_loss(clip: nn.Module, batch: Batch, nouns: Tensor, patches: float, places: float) -> Tensor:
    """The symmetric InfoNCE; each picture sees its hard negative as one more caption, and none sees its own caption
    again as another picture's. Beside it, for pictures of one thing, the cross-entropy of its noun among all nouns, as
    captions with the ids `nouns` (nouns, tokens): a batch of captions names few of them, and differs in much else. The
    same, times `patches`, for the states of patches that lie on a thing, whose mean is the picture's own; where in the
    picture a patch lies is no part of its noun. And, times `places`, the cross-entropy of the right answer where a
    picture is asked what stands where."""
    rows = len(batch.ids)
    with torch.set_grad_enabled(rows > 0):
        seen = clip.vision_model(pixel_values=batch.pixels)
    image = projected(clip, seen.pooler_output)
    scale = clip.logit_scale.exp().clamp(max=100)
    texts = embedded(clip, torch.cat([batch.ids, batch.negative, batch.answers.flatten(0, 1)]))
    text, negative, answers = texts.split([rows, rows, len(texts) - 2 * rows])
    loss = image.new_zeros(())
    if places and len(batch.asked):
        likeness = (image[batch.asked, None] * answers.unflatten(0, (-1, 3))).sum(-1)  # (asked, 3)
        loss = places * F.cross_entropy(scale * likeness, torch.zeros_like(batch.asked))
    if not rows:
        return loss
    twins = (batch.ids[:, None] == batch.ids).all(-1) & ~torch.eye(len(image), dtype=torch.bool, device=image.device)
    logits = (scale * image @ text.T).masked_fill(twins, -1e4)  # (b, b)
    same = (batch.ids == batch.negative).all(1)
    hard = (scale * (image * negative).sum(-1)).masked_fill(same, -1e4)[:, None]
    target = torch.arange(len(image), device=image.device)
    loss = loss + (F.cross_entropy(torch.cat([logits, hard], 1), target) + F.cross_entropy(logits.T, target)) / 2
    named = embedded(clip, nouns)
    one, on = batch.nouns >= 0, batch.patches >= 0
    if one.any():
        loss = loss + F.cross_entropy(scale * image[one] @ named.T, batch.nouns[one])
    if patches and on.any():
        states = seen.last_hidden_state.flatten(2).transpose(1, 2)[on]
        states = F.pad(states, (0, seen.pooler_output.shape[-1] - states.shape[-1]))
        loss = loss + patches * F.cross_entropy(scale * projected(clip, states) @ named.T, batch.patches[on])
    return loss


def projected(clip: nn.Module, states: Tensor) -> Tensor:
    """Normalised image embeddings (n, d) of states of the vision tower (n, width)."""
    with torch.autocast(states.device.type, enabled=False):
        return F.normalize(clip.visual_projection(states.float()), dim=-1)


def embedded(clip: nn.Module, ids: Tensor) -> Tensor:
    """Normalised text embeddings (b, d) of ids (b, tokens), in fp32: in bf16 two texts that differ in a place alone are
    the same at first, and stay so. Attention is causal, so what follows the last end of a text is cut off without
    effect: of short texts, which go by themselves, the most."""
    ends = (ids == clip.config.text_config.eos_token_id).int().argmax(1)
    order = ends.argsort()
    with torch.autocast(ids.device.type, enabled=False):
        texts = [
            clip.get_text_features(input_ids=ids[rows, : int(ends[rows].max()) + 1]).pooler_output
            for rows in order.chunk(TEXT_LENGTHS)
        ]
    return F.normalize(torch.cat(texts)[order.argsort()].float(), dim=-1)


def job(settings: Settings, pack_dir: Path) -> Job:
    """Warm-starts from pack_dir/clip; exports there."""
    tokens = tokenizer(pack_dir)
    clip = model(settings, text_encoder(tokens, pack_dir / "clip"))
    warm_start(clip, pack_dir / "clip")
    store, layouts = scene_store(settings.data, settings.scenes), scene_layouts(settings.data, settings.scenes)
    nouns = ids_of(tokens, [f"photo of {article(noun)}" for noun in NOUNS])
    across = 128 // (4 << len(settings.blocks) - 1)  # patches along a side
    numbers = {noun: number for number, noun in enumerate(NOUNS)}

    def batch(step: int, size: int) -> Batch:
        rng = np.random.default_rng([104, settings.seed, step])
        if settings.places and 0 <= step * size - settings.places_from < settings.places_alone:
            return of_several(size, rng)
        seeds = [int(s) for s in rng.integers(0, settings.scenes, size)]
        seen, texts, wrong, shown, on = list[np.ndarray](), list[str](), list[str](), list[int](), list[np.ndarray]()
        asked, answers = list[int](), list[str]()
        for number, s in enumerate(seeds):
            scene, picture, frame = draw_scene(s), store[s], WHOLE
            if scene.things and rng.random() < settings.close_ups:
                frame, text, other, noun = of_one_thing(scene, rng)
                picture = close_up(picture, frame)
            else:
                text, other = hard_negative(scene, rng, training_caption if rng.random() < 0.4 else caption)
                noun = scene.things[0].noun if len(scene.things) == 1 else ""
                if three := where_it_stands(scene, rng):
                    asked.append(number)
                    answers += three
            seen.append(picture)
            texts.append(text)
            wrong.append(other)
            shown.append(numbers.get(noun, -1))
            on.append(nouns_of_patches(close_layout(layouts[s], frame)[0], across))
        right, other, answer = ids_of(tokens, texts + wrong + answers).split([size, size, len(answers)])
        patches = torch.from_numpy(np.stack(on))
        answer = answer.view(len(asked), 3, TOKENS)
        return Batch(pictures(seen), right, other, torch.tensor(shown), patches, torch.tensor(asked).long(), answer)

    def of_several(size: int, rng: np.random.Generator) -> Batch:
        """Pictures of several things, of which nothing is asked but what stands where."""
        seen, answers = list[np.ndarray](), list[str]()
        for number in rng.integers(0, settings.scenes, 100 * size):  # of half of all scenes this can be asked
            if len(seen) == size:
                break
            if three := where_it_stands(draw_scene(int(number)), rng):
                seen.append(store[int(number)])
                answers += three
        if len(seen) < size:
            raise TrainingError(f"too few of {settings.scenes} scenes show two unlike things: set more scenes")
        answer, none = ids_of(tokens, answers), torch.empty(0, TOKENS, dtype=torch.long)
        return Batch(pictures(seen), none, none, none, none, torch.arange(size), answer.view(size, 3, TOKENS))

    def export(ema: nn.Module, folder: Path) -> None:
        from transformers import CLIPImageProcessorPil

        ema.save_pretrained(folder / "clip")
        half = [0.5, 0.5, 0.5]
        CLIPImageProcessorPil(
            size={"height": 128, "width": 128}, do_center_crop=False, image_mean=half, image_std=half
        ).save_pretrained(folder / "clip")
        tokens.save_pretrained(folder / "clip")
        (folder / "clip" / PHRASES).write_text("\n".join(vocabulary()) + "\n", encoding="utf-8")

    def loss(net: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        return contrastive_loss(net, batch, nouns.to(batch.ids.device), settings.patches, settings.places)

    return Job(model=clip, batch=batch, loss=loss, export=export)
