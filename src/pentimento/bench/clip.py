"""How well a pack's clip tells pictures of the drawn world apart: by their noun, and by what a caption gets wrong."""

import numpy as np
from PIL import Image

from ..data.captions import hard_negative
from ..data.scenes import Scene, draw_scene, render
from ..data.vocabulary import NOUNS
from ..language.lexicon import article
from ..roles import Clip
from .statistics import Figure, share


def single_nouns(clip: Clip, n: int = 200, split: str = "test", seed: int = 0) -> Figure:
    """Zero-shot: how often the noun of a scene with one thing is the likeliest of all nouns, as "photo of a cat"."""
    texts = clip.embed_texts([f"photo of {article(noun)}" for noun in NOUNS])  # (nouns, d)
    scenes, number = list[Scene](), seed
    while len(scenes) < n:
        scene = draw_scene(number, split)
        scenes += [scene] if len(scene.things) == 1 and scene.style == "photo" else []
        number += 1
    likeliest = (clip.embed_images([Image.fromarray(render(s).image) for s in scenes]) @ texts.T).argmax(-1)
    nouns = list(NOUNS)
    right = sum(nouns[int(i)] == scene.things[0].noun for i, scene in zip(likeliest, scenes, strict=True))
    return share(right, n)


def hard_negatives(clip: Clip, n: int = 200, split: str = "test", seed: int = 0) -> Figure:
    """How often a scene is more like its caption than like that of the scene made wrong (`captions.made_wrong`)."""
    rng = np.random.default_rng([43, seed])
    right = asked = 0
    for number in range(seed, seed + n):
        scene = draw_scene(number, split)
        said, wrong = hard_negative(scene, rng)
        if wrong == said:
            continue
        text, other = clip.embed_texts([said, wrong])
        picture = clip.embed_images([Image.fromarray(render(scene).image)])[0]
        right += int(picture @ text > picture @ other)
        asked += 1
    return share(right, asked)
