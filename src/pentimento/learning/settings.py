"""What can be set when an instruction is learned; the presets are the two methods, and their ablations are settings."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from ..errors import RequestError
from ..roles import Pack
from ..settings import Fraction, GuidanceScale, Settings, build
from ..training import TrainSettings
from ..values import SCALES

Space = Literal["attention", "text"]
Init = Literal["unique_phrases", "caption", "none"]
Sensitivity = Literal["relative", "raw"]

Words = Annotated[str, StringConstraints(strip_whitespace=True)]
"""Blank ones are none."""


class LearnSettings(Settings):
    """How an instruction is learned (InstructBrush Sec. 4 and 6). The ablations of its Table 2: `space` text is w/o
    Attn, `parts` 1 is w/o Time, `init` caption is w/o Init."""

    method: Literal["instructbrush", "visii"] = "instructbrush"
    space: Space = Field("attention", description="what is learned: keys and values, or token states")
    parts: int = Field(5, ge=1, le=50, description="parts of the time, each with its own instruction")
    init: Init = Field("unique_phrases", description="the words that the learning begins with")
    instruction: Words = Field("", description="begin with these words instead")
    steps: int = Field(1000, ge=1, description="steps of each part; all parts are learned side by side")
    lr: float = Field(1e-3, gt=0, description="learning rate of AdamW")
    scaled: bool = Field(True, description="learning rate of a layer in proportion to its keys and values")
    guidance: GuidanceScale = Field(7.5, description="guidance scale towards the instruction, of the edit")
    image_guidance: GuidanceScale = Field(1.5, description="guidance scale towards the picture, of the edit")
    image_latents: Literal["scaled", "unscaled"] = Field("scaled", description="scale of the picture's latents")
    train_with_guidance: bool = Field(True, description="whether the loss is taken of the guided prediction")
    each_timestep_once: bool = Field(False, description="a part's timesteps in shuffled turn, instead of drawn anew")
    mse_weight: float = Field(1.0, gt=0, description="of the noise prediction loss")
    clip_weight: float = Field(0.0, ge=0, description="of CLIP's direction from before to after; 0 leaves it out")
    clip_reads: Literal["pictures", "words"] = Field("pictures", description="where that direction is looked for")
    passes: int = Field(1, ge=1, description="passes of a step, some of the parts in each: more need less memory")
    tokens: int = Field(10, ge=1, description="m, tokens that are learned when there are no words to begin with")
    phrases: int = Field(5, ge=1, description="phrases of the caption of a set of pictures")
    eta: Fraction = Field(0.15, description="sensitivity below which a phrase tells nothing")
    sensitivity: Sensitivity = Field("relative", description="difference of similarities over the own one, or alone")
    seed: int = Field(0, ge=0, description="of noise and timesteps")
    minutes: float | None = Field(None, gt=0, description="stop after so much time")

    @model_validator(mode="after")
    def _fits_together(self) -> "LearnSettings":
        if self.method == "visii" and (self.space, self.parts) != ("text", 1):
            raise ValueError("visii learns in the text space, in 1 part: set space=text and parts=1")
        if self.parts % self.passes:
            raise ValueError(f"{self.parts} parts cannot be shared by {self.passes} passes: change either")
        if self.clip_weight and self.clip_reads == "words" and self.space != "text":
            raise ValueError("only token states can be read as words: set space=text, or clip_reads=pictures")
        return self

    def training(self, arithmetic: str) -> TrainSettings:
        """The loop's settings: one row of each part in a batch, a constant learning rate, the last step kept.

        `arithmetic` is the model's own (roles.Diffusion), which also holds for the loss around it; fp16 is not.
        """
        return TrainSettings(
            images=self.steps * self.parts, batch_size=self.parts, lr=self.lr, warmup_images=0, cooldown=0.0,
            weight_decay=0.0, ema=0.0, clip=0.0, seed=self.seed, minutes=self.minutes,
            precision="bf16" if arithmetic == "bf16" else "fp32", log_every=10,
            checkpoint_minutes=0.5, sample_minutes=0.5,
        )  # fmt: skip


VISII: Mapping[str, Any] = {
    "method": "visii", "space": "text", "parts": 1, "init": "caption", "each_timestep_once": True,
    "mse_weight": 4.0, "clip_weight": 0.1,
}  # fmt: skip
"""Visii's settings, where they are not InstructBrush's (Nguyen et al. 2023, Sec. 4; the weights are its code's)."""


def learn_settings(method: str, settings: Mapping[str, Any]) -> LearnSettings:
    """A method's settings with some of one's own.

    Raises: RequestError for an unknown method, or a setting that is unknown or out of its range.
    """
    presets: Mapping[str, Mapping[str, Any]] = {"instructbrush": {}, "visii": VISII}
    if method not in presets:
        raise RequestError(f"{method!r} learns no instruction: there are {', '.join(presets)}")
    return build(LearnSettings, f"learning by {method}", {**presets[method], **settings})


def settings_for(pack: Pack, method: str, settings: Mapping[str, Any]) -> LearnSettings:
    """A method's settings for a pack: the scales of its InstructPix2Pix, which is what learns, its defaults of learning
    ("learning", and over these those of the method's `family`), and over these some of one's own.

    Raises: RequestError as `learn_settings` does.
    """
    scales = {name: value for name, value in pack.defaults.get("instructpix2pix", {}).items() if name in SCALES}
    own = pack.defaults.get(family(learn_settings(method, settings)), {})
    return learn_settings(method, {**scales, **pack.defaults.get("learning", {}), **own, **settings})


def family(settings: LearnSettings) -> str:
    """The name among a pack's defaults for what needs a learning rate of its own."""
    if settings.method == "visii":
        return "learning_visii"
    if settings.space == "text":
        return "learning_text"
    return "learning" if settings.train_with_guidance else "learning_unguided"
