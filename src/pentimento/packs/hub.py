"""The published checkpoints' own architectures, through transformers, as our roles.

Grounding DINO, SAM and SAM 2, BLIP-2, Mask2Former, and a language model that plans.

Folders are in the hub's layout. Everything comes from safetensors; no code is loaded from a folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import BaseModel
from torch import Tensor, nn

from ..errors import RequestError
from ..language.chat import Chat, Message, prompt_of
from ..values import Box, Segment
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
        cleaned = [phrase.lower().replace(".", " ").strip() for phrase in phrases]
        if not all(cleaned):
            raise RequestError("there is nothing to look for: give a phrase such as 'cat'")
        text = " ".join(f"{phrase}." for phrase in cleaned)
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
class SegmentAnything2:
    """SAM 2 as `roles.BoxSegmenter`, on single pictures. Its own image processor needs torchvision; this does not.

    The picture is stretched to a square, as its processor does, and the boxes with it.
    """

    model: Any
    placement: Placement

    @torch.no_grad()
    def masks(self, image: Image.Image, boxes: Sequence[Box]) -> np.ndarray:
        """bool (n, h, w) of the picture's size."""
        if not boxes:
            return np.zeros((0, image.height, image.width), bool)
        side = self.model.config.prompt_encoder_config.image_size
        across, down = side / image.width, side / image.height
        corners = [[box.left * across, box.top * down, box.right * across, box.bottom * down] for box in boxes]
        device = self.placement.device
        with self.placement.autocast():
            out = self.model(
                pixel_values=_square(image, side).to(device), input_boxes=torch.tensor([corners], device=device),
                multimask_output=False,
            )  # fmt: skip
        logits = out.pred_masks[0].float().cpu()  # (n, 1, side / 4, side / 4)
        size = (image.height, image.width)
        return (F.interpolate(logits, size, mode="bilinear", align_corners=False)[:, 0] > 0).numpy()


def _square(image: Image.Image, side: int) -> Tensor:
    """The picture stretched to a square, (1, 3, side, side), by the mean and deviation of ImageNet's pixels."""
    small = image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.asarray(small).copy()).permute(2, 0, 1).float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((pixels - mean.view(3, 1, 1)) / std.view(3, 1, 1))[None]


def load_sam2(folder: Path, placement: Placement) -> SegmentAnything2:
    """The picture half of a SAM 2 video checkpoint; its memory of earlier frames is not loaded."""
    from transformers import Sam2Model

    return SegmentAnything2(ready(Sam2Model, folder, placement), placement)


COCO_SURFACES = frozenset(range(80, 133))
"""COCO's panoptic classes from 80 on are surfaces (sky, grass): one segment each, however many pieces it has."""


@dataclass(frozen=True, eq=False)
class Mask2Former:
    """Mask2Former as `roles.Panoptic` (InstructGIE Eq. 7), with the library's own panoptic post-processing."""

    model: Any
    processor: Any
    placement: Placement

    @torch.no_grad()
    def segments(self, image: Image.Image) -> tuple[Segment, ...]:
        inputs = self.processor(images=image.convert("RGB"), return_tensors="pt").to(self.placement.device)
        with self.placement.autocast():
            out = self.model(pixel_values=inputs["pixel_values"], pixel_mask=inputs["pixel_mask"])
        out.class_queries_logits = out.class_queries_logits.float().cpu()
        out.masks_queries_logits = out.masks_queries_logits.float().cpu()
        (found,) = self.processor.post_process_panoptic_segmentation(
            out, target_sizes=[(image.height, image.width)], label_ids_to_fuse=COCO_SURFACES
        )
        owner = found["segmentation"].numpy()  # (h, w), a segment's id or -1
        labels = self.model.config.id2label
        segments = [
            Segment(labels[one["label_id"]], owner == one["id"], float(one["score"])) for one in found["segments_info"]
        ]
        return tuple(sorted(segments, key=lambda one: -one.score))


def load_mask2former(folder: Path, placement: Placement) -> Mask2Former:
    """The published files lack the backbone's last norm, which the library makes and nothing reads."""
    from transformers import Mask2FormerForUniversalSegmentation, Mask2FormerImageProcessorPil

    processor = Mask2FormerImageProcessorPil.from_pretrained(folder, local_files_only=True)
    model = ready(Mask2FormerForUniversalSegmentation, folder, placement, unused=".encoder.swin.layernorm.")
    return Mask2Former(model, processor, placement)


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
    """Four billion numbers: they are kept in the placement's own arithmetic, half as large as fp32."""
    from transformers import Blip2ForConditionalGeneration, Blip2Processor

    processor = Blip2Processor.from_pretrained(folder, local_files_only=True)
    model = ready(Blip2ForConditionalGeneration, folder, placement, placement.dtype)
    return Blip2(model, processor, placement)


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A causal language model that answers a conversation greedily; a `language.chat.Complete`."""

    model: Any
    tokenizer: Any
    longest: int = 600

    @torch.no_grad()
    def __call__(self, talk: Sequence[Message], kind: type[BaseModel]) -> str:
        tokens = self.tokenizer(prompt_of(self.tokenizer, talk), return_tensors="pt").to(self.model.device)
        ids = self.model.generate(
            **tokens, max_new_tokens=self.longest, do_sample=False, temperature=None, top_p=None, top_k=None,
            repetition_penalty=1.0, pad_token_id=self.tokenizer.eos_token_id,
        )  # fmt: skip
        return str(self.tokenizer.decode(ids[0, tokens["input_ids"].shape[1] :], skip_special_tokens=True))


def load_chat(folder: Path, placement: Placement) -> Chat:
    """A planner by a local instruct model, kept in the placement's own arithmetic: billions of numbers."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    model = ready(AutoModelForCausalLM, folder, placement, placement.dtype, trust_remote_code=False)
    return Chat(LanguageModel(model, tokenizer))
