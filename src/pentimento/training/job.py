"""What the loop trains and how: the job (functions), the settings (numbers), the report (what came out)."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn


@dataclass(frozen=True)
class Job:
    """One model to train.

    `batch(step, batch_size)` is a pure function: the same numbers give the same tensors (any nest of lists, tuples
    and dicts, or a dataclass, on the CPU), so a run needs no data-loader state to go on. A batch that draws its
    pictures from the indices step * batch_size + i is the same batch however many processes share it.
    `loss(model, batch, generator)` is a scalar; the batch lies on the model's device, the generator on the CPU.
    `export(ema_model, folder)` writes component folders (config.json and safetensors) below `folder`.
    `sample(ema_model, path)` writes one sample sheet to `path`, a .png.
    `frozen` are modules that the loss uses but does not train: the loop moves them to the device.
    `beside` names the models that this one learns beside or in whose latents: a run goes on with no others.
    `parts` is how many batches a step is made of, one after the other, their gradients averaged: for batches that are
    larger than the memory. `batch` is asked for each of them, by its number and a size of batch_size / parts.
    `rivals` names the submodules that learn against the others, each with a learning rate that neither rises nor falls:
    a critic must keep up with its painter (Heusel et al. 2017).
    """

    model: nn.Module
    batch: Callable[[int, int], Any]
    loss: Callable[[nn.Module, Any, torch.Generator], Tensor]
    export: Callable[[nn.Module, Path], None]
    sample: Callable[[nn.Module, Path], None] | None = None
    frozen: tuple[nn.Module, ...] = ()
    beside: str = ""
    parts: int = 1
    rivals: dict[str, float] = field(default_factory=dict)


class TrainSettings(BaseModel):
    """What every recipe can set. The unit is images seen, never steps."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    images: int = Field(100_000, ge=1, description="images to train on, all in all")
    batch_size: int = Field(48, ge=1, description="images a step, over all processes")
    lr: float = Field(1e-3, gt=0, description="peak learning rate of AdamW")
    warmup_images: int = Field(2_000, ge=0, description="images over which the learning rate rises from 0")
    cooldown: float = Field(0.2, ge=0, le=1, description="last fraction of the images, with a cosine fall to 0")
    weight_decay: float = Field(0.01, ge=0, description="for weights; biases and norms have none")
    ema: float = Field(20_000, ge=0, description="half-life of the averaged weights, in images; 0 is no averaging")
    clip: float = Field(1.0, ge=0, description="largest norm of the gradient; 0 is no limit")
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="arithmetic inside the loss; auto is bf16 where the hardware computes in it"
    )
    seed: int = Field(0, ge=0, description="of data, noise and dropout")
    minutes: float | None = Field(None, gt=0, description="stop after so much training time, runs added up")
    workers: int = Field(0, ge=0, description="processes that prepare batches; 0 is none beside the loop")
    log_every: int = Field(50, ge=1, description="steps between two lines of the log")
    checkpoint_minutes: float = Field(5.0, ge=0, description="minutes between two checkpoints; 0 is every step")
    sample_minutes: float = Field(10.0, ge=0, description="minutes between two sample sheets; 0 is every step")


@dataclass(frozen=True)
class TrainReport:
    """How a run ended. `finished` says that all images were seen; `minutes` adds up all its stretches."""

    images: int
    steps: int
    minutes: float
    loss: float
    finished: bool
    hardware: str
    processes: int
    settings: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
