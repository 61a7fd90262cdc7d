"""A clip's scores: right for one that sees the truth, about chance for one that does not."""

import numpy as np
import torch

from pentimento.bench.clip import hard_negatives, single_nouns


class Guessing:
    """Embeds everything by a hash of its content: knows nothing."""

    def embed_images(self, images):
        return torch.stack([self._of(image.tobytes()) for image in images])

    def embed_texts(self, texts):
        return torch.stack([self._of(text.encode()) for text in texts])

    def _of(self, content: bytes):
        rng = np.random.default_rng(list(content[:64]) + [sum(content)])
        return torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=16)), dim=0)


def test_a_clip_that_guesses_is_at_chance() -> None:
    assert single_nouns(Guessing(), 40).value < 0.15
    found = hard_negatives(Guessing(), 60)
    assert found.low < 0.5 < found.high and found.n > 40


def test_a_clip_that_likes_the_true_caption_better_is_right(monkeypatch) -> None:
    class Knowing(Guessing):
        def embed_texts(self, texts):
            return torch.tensor([[1.0, 0.0], [0.0, 1.0]])

        def embed_images(self, images):
            return torch.tensor([[1.0, 0.0]]).expand(len(images), -1)

    assert hard_negatives(Knowing(), 20).value == 1
