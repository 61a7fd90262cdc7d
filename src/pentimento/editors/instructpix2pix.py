"""InstructPix2Pix (Brooks et al. 2023): a diffusion model that reads the instruction and sees the picture.

Mask-free; a mask that is given confines the result to it. Its instruct model takes noise and picture side by side.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SkipValidation

from ..roles import Pack
from ..settings import GuidanceScale, Steps
from ..values import Request, Result
from .confined import Confined
from .instructed import ImageLatents, edits_read, in_words
from .requests import Watch, instruction_of, unwatched


class InstructPix2Pix(Confined):
    """Edits the whole picture by words alone (InstructPix2Pix Sec. 3.2; the baseline of InstructEdit's Table 1).

    `image_latents` says at which scale the model was taught to see the picture: "unscaled" are the autoencoder's own
    latents, as in the published checkpoint; "scaled" are those that the noise is added to, as in the miniature.
    `taught_by` chooses between two models of a pack: that of the widest choice of edits, and the one that learned from
    InstructGIE's visual prompts alone, for its Table 1.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"instruction"})
    works_from: ClassVar[frozenset[str]] = frozenset()

    pack: Annotated[Pack, SkipValidation] = Field(repr=False)
    steps: Steps = Field(20, description="Euler ancestral steps")
    guidance: GuidanceScale = Field(7.5, description="guidance scale towards the instruction")
    image_guidance: GuidanceScale = Field(1.5, description="guidance scale towards the picture")
    image_latents: ImageLatents = Field("scaled", description="scale of the picture's latents")
    taught_by: Literal["edits", "visual_prompts"] = Field("edits", description="what the model learned from")

    def __call__(self, request: Request, watch: Watch = unwatched) -> Result:
        """Carry out the request; its plan is not looked at.

        Raises: RequestError for a picture, mask or instruction that cannot be used; PackError for a missing role.
        """
        (result,) = self.of_seeds(request, (request.seed,), watch)
        return result

    def of_seeds(self, request: Request, seeds: Sequence[int], watch: Watch = unwatched) -> tuple[Result, ...]:
        """A result for each seed, drawn as one batch: as a call with that seed, within rounding.

        Raises: as a call.
        """
        instruction = instruction_of(request, "InstructPix2Pix")
        model = self.pack.instruct if self.taught_by == "edits" else self.pack.instruct_in_context
        return edits_read(self, "instructpix2pix", model, request, seeds, instruction, self.guidance, in_words, watch)
