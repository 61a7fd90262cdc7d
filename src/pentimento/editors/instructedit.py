"""InstructEdit (Wang et al. 2023): words to captions and a mask, then a DDIM edit inside the mask.

Language processor (Sec. 3.2) and segmenter (Sec. 3.3) are the pack's (see `planned`); the image editor (Sec. 3.4) is
`masked.edit_inside`.
"""

from typing import Annotated, ClassVar

import numpy as np
from PIL import Image
from pydantic import Field, SkipValidation

from ..diffusion.samplers import InversionTimestep
from ..roles import Pack
from ..settings import EncodingRatio, Fraction, GuidanceScale, Steps
from ..values import Plan, Request, Result
from .confined import Confined
from .masked import edit_inside
from .planned import Description, Step, everywhere, one_after_the_other
from .requests import Watch, unwatched


class InstructEdit(Confined):
    """Edits a picture by words, inside a mask that is found by words.

    The defaults are the paper's and its code's. Seed 0 is the paper's deterministic edit; every other seed begins with
    some fresh noise (see `variety`), so that one instruction can give several pictures. An instruction that asks for
    several edits gets them one after the other; all masks are found in the picture as it was given.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"instruction"})
    works_from: ClassVar[frozenset[str]] = frozenset({"plan", "mask"})

    pack: Annotated[Pack, SkipValidation] = Field(repr=False)
    steps: Steps = Field(50, description="DDIM steps")
    ratio: EncodingRatio = Field(0.5, description="encoding ratio r: how far the picture is turned into noise")
    guidance: GuidanceScale = Field(7.5, description="guidance scale towards the caption after the edit")
    inversion_timestep: InversionTimestep = Field(
        "source", description="timestep at which the inversion asks for eps: source as in Eq. 3, or destination"
    )
    variety: Fraction = Field(
        0.6, description="share of fresh noise at the start of an edit whose seed is not 0; 0 makes all seeds alike"
    )
    description: Description = Field("unclear", description="when the captioner describes the picture to the planner")

    def __call__(self, request: Request, watch: Watch = unwatched) -> Result:
        """Carry out the request.

        Raises: RequestError for a picture, mask or instruction that cannot be used; PlanError when the words are not
        understood; NothingFound when nothing answers them; PackError for a missing role.
        """

        def carry(picture: Image.Image, plan: Plan, mask: np.ndarray | None) -> Step:
            region = mask if mask is not None else everywhere(picture)
            return edit_inside(self, self.pack.text_to_image, picture, plan, region, request.seed, watch)

        return one_after_the_other(self, "instructedit", request, watch, carry, finds=True)
