"""The published checkpoints' own architectures, through transformers, as our roles: Grounding DINO, SAM, BLIP-2.

Folders are in the hub's layout. Everything comes from safetensors; no code is loaded from a folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..values import Box
from .diffusion import ready
from .placement import Placement


@dataclass(frozen=True, eq=False)
class GroundingDino:
    """Grounding DINO as `roles.Detector` (InstructEdit Sec. 3.3).

    A box's score is the highest over the tokens of one phrase, and that phrase is the box's. The library's own
    post-processing takes the highest over all tokens, separators among them, and returns raw token strings.
    """

    model: nn.Module
    processor: Any
    placement: Placement

    def detect(self, image: Image.Image, phrases: Sequence[str], threshold: float) -> tuple[Box, ...]:
        """Boxes in pixels whose score in [0, 1] is at least `threshold`, best first."""
        boxes, scores = self._scores(image, phrases)
        best, owner = scores.max(dim=1)
        order = best.argsort(descending=True, stable=True)
        found = []
        for i in order[best[order] >= threshold].tolist():
            left, top, right, bottom = boxes[i].tolist()
            found.append(Box(left, top, right, bottom, float(best[i]), phrases[int(owner[i])]))
        return tuple(found)

    def best_score(self, image: Image.Image, phrase: str) -> float:
        return float(self._scores(image, [phrase])[1].max())

    @torch.no_grad()
    def _scores(self, image: Image.Image, phrases: Sequence[str]) -> tuple[Tensor, Tensor]:
        """All boxes (queries, 4) in pixels, and their scores for each phrase (queries, phrases)."""
        text = " ".join(phrase.lower().replace(".", " ").strip() + "." for phrase in phrases)
        inputs = self.processor(images=image.convert("RGB"), text=text, return_tensors="pt").to(self.placement.device)
        with self.placement.autocast():
            out = self.model(**inputs)
        tokens = out.logits[0].float().sigmoid().cpu()  # (queries, text length)
        stop = self.processor.tokenizer.convert_tokens_to_ids(".")
        ends = (inputs["input_ids"][0] == stop).nonzero().flatten().tolist()
        starts = [1, *(end + 1 for end in ends[:-1])]  # token 0 is [CLS]
        spans = [tokens[:, a:b].amax(dim=1) for a, b in zip(starts, ends, strict=True)]
        x, y, w, h = out.pred_boxes[0].float().cpu().unbind(-1)  # centre and size, fractions of the picture
        width, height = image.size
        sides = [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height]
        return torch.stack(sides, dim=-1), torch.stack(spans, dim=-1)


def load_grounding_dino(folder: Path, placement: Placement) -> GroundingDino:
    from transformers import GroundingDinoForObjectDetection, GroundingDinoProcessor

    processor = GroundingDinoProcessor.from_pretrained(folder, local_files_only=True)
    return GroundingDino(ready(GroundingDinoForObjectDetection, folder, placement), processor, placement)


@dataclass(frozen=True, eq=False)
class SegmentAnything:
    """SAM as `roles.BoxSegmenter`: one mask a box, `multimask_output=False` (InstructEdit Sec. 3.3)."""

    model: nn.Module
    processor: Any
    placement: Placement

    @torch.no_grad()
    def masks(self, image: Image.Image, boxes: Sequence[Box]) -> np.ndarray:
        """bool (n, h, w) of the picture's size."""
        if not boxes:
            return np.zeros((0, image.height, image.width), bool)
        corners = [[[box.left, box.top, box.right, box.bottom] for box in boxes]]
        inputs = self.processor(images=image.convert("RGB"), input_boxes=corners, return_tensors="pt")
        sizes, reshaped = inputs["original_sizes"], inputs["reshaped_input_sizes"]
        device = self.placement.device
        with self.placement.autocast():
            out = self.model(
                pixel_values=inputs["pixel_values"].to(device), input_boxes=inputs["input_boxes"].float().to(device),
                multimask_output=False,
            )  # fmt: skip
        masks = self.processor.image_processor.post_process_masks(out.pred_masks.float().cpu(), sizes, reshaped)
        return masks[0][:, 0].numpy().astype(bool)  # (n, h, w)


def load_sam(folder: Path, placement: Placement) -> SegmentAnything:
    from transformers import SamModel, SamProcessor

    processor = SamProcessor.from_pretrained(folder, local_files_only=True)
    return SegmentAnything(ready(SamModel, folder, placement), processor, placement)


@dataclass(frozen=True, eq=False)
class Blip2:
    """BLIP-2 as `roles.Captioner`: 20 new tokens, greedy (InstructEdit's code)."""

    model: Any
    processor: Any
    placement: Placement

    @torch.no_grad()
    def ask(self, image: Image.Image, prompt: str) -> str:
        """The answer, or the completion of `prompt`, without the prompt."""
        inputs = self.processor(images=image.convert("RGB"), text=prompt, return_tensors="pt").to(self.placement.device)
        with self.placement.autocast():
            ids = self.model.generate(**inputs, max_new_tokens=20, do_sample=False)
        return self.processor.batch_decode(ids, skip_special_tokens=True)[0].strip().removeprefix(prompt).strip()


def load_blip2(folder: Path, placement: Placement) -> Blip2:
    from transformers import Blip2ForConditionalGeneration, Blip2Processor

    processor = Blip2Processor.from_pretrained(folder, local_files_only=True)
    return Blip2(ready(Blip2ForConditionalGeneration, folder, placement), processor, placement)
