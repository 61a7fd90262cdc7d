"""Prompt Diffusion (Wang et al. 2023): an edit shown by one pair of pictures, said in words, or both.

InstructGIE's baseline: example and picture are seen through convolutions, and the answer alone is painted. Mask-free; a
mask that is given confines the result to it.
"""

from typing import Annotated, ClassVar

from pydantic import Field, SkipValidation

from ..diffusion.masks import ToGrid
from ..roles import Pack
from ..settings import Cells, Closeness, GuidanceScale, Margin, Pixels, Settings, Steps
from ..values import Request, Result
from .requests import Watch, unwatched
from .shown import as_it_is, asked_of, edit_shown


class PromptDiffusion(Settings):
    """Edits the whole picture as an example shows, as an instruction says, or as both do (Prompt Diffusion Sec. 3.2; a
    baseline of InstructGIE's Table 1)."""

    needs: ClassVar[frozenset[str]] = frozenset({"instruction", "example"})
    works_from: ClassVar[frozenset[str]] = frozenset()

    pack: Annotated[Pack, SkipValidation] = Field(repr=False)
    steps: Steps = Field(30, description="Euler ancestral steps")
    guidance: GuidanceScale = Field(9.0, description="guidance scale towards the instruction, as ControlNet's")
    unify: bool = Field(False, description="whether the instruction is said in unified words, as InstructGIE's is")
    mask_to_grid: ToGrid = Field("area", description="how a given mask comes onto the latent grid")
    grow: Cells = Field(0, description="cells of the latent grid by which the mask grows to all sides")
    feather: Pixels = Field(2, description="soft border inside a given mask, in the model's pixels")
    context: Margin = Field(0.5, description="margin around a mask in large pictures, in mask sides")
    closest: Closeness = Field(
        1.0, description="least side of the view around a mask, as a share of the model's; below 1 it is scaled up"
    )

    def __call__(self, request: Request, watch: Watch = unwatched) -> Result:
        """Carry out the request; its plan is not looked at.

        Raises: RequestError for a picture or mask that cannot be used, or when there is neither an instruction nor an
        example; PackError for a missing role.
        """
        asked = asked_of(request, "Prompt Diffusion")
        model = self.pack.prompt_diffusion
        return edit_shown(self, "promptdiffusion", model, request, asked, as_it_is, watch)
