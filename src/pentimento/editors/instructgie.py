"""InstructGIE (Meng et al. 2024): an edit shown by one pair of pictures, said in words, or both.

Example pair, picture and answer stand in one grid of 2x2, which is painted from noise beside a visual prompt, the same
grid with a grey answer (Sec. 4.1). Mask-free; a mask that is given confines the result to it.
"""

from functools import partial
from typing import Annotated, ClassVar

import torch
from pydantic import Field, SkipValidation

from ..diffusion.grids import Quadrants
from ..diffusion.objectives import Noise
from ..diffusion.shift_guidance import shift_guided
from ..errors import RequestError
from ..roles import InContext, Pack
from ..settings import GuidanceScale, Steps, Strength
from ..values import Request, Result
from .confined import Confined
from .requests import Watch, unwatched
from .shown import as_it_is, asked_of, edit_shown


class InstructGIE(Confined):
    """Edits the whole picture as an example shows, as an instruction says, or as both do (Sec. 4).

    The instruction is unified by the pack's language model or planner first, as in training (Sec. 4.2, Eq. 6). The
    answer's latents are decoded by themselves: a grid's latents are those of its four pictures, side by side.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"instruction", "example"})
    works_from: ClassVar[frozenset[str]] = frozenset()

    pack: Annotated[Pack, SkipValidation] = Field(repr=False)
    steps: Steps = Field(30, description="Euler ancestral steps")
    guidance: GuidanceScale = Field(9.0, description="guidance scale towards the instruction, as ControlNet's")
    unify: bool = Field(True, description="whether the instruction is said in its unified words")
    shift_guidance: Strength = Field(
        0.0,
        description="pull towards the example's editing shift, as a share of the noise; needs an example and a clip",
    )

    def __call__(self, request: Request, watch: Watch = unwatched) -> Result:
        """Carry out the request; its plan is not looked at.

        Raises: RequestError for a picture or mask that cannot be used, when there is neither an instruction nor an
        example, or when shift_guidance has no example to follow; PackError for a missing role.
        """
        asked = asked_of(request, "InstructGIE")
        if self.shift_guidance and not asked.example:
            raise RequestError("shift_guidance follows an example and none was given: give one, or set it to 0")
        model = self.pack.incontext
        turning = partial(self.turned, model) if self.shift_guidance else as_it_is
        return edit_shown(self, "instructgie", model, request, asked, turning, watch)

    def turned(self, model: InContext, noise: Noise, prompt: Quadrants) -> Noise:
        """`noise`, guided by the example's editing shift (Sec. 4.1)."""
        return shift_guided(
            noise, torch.cat([prompt.in0, prompt.out0]), prompt.in1, model.autoencoder.decode_pixels,
            self.pack.clip.embed_pixels, model.alphas_cumprod, self.shift_guidance,
        )  # fmt: skip
