"""Prompt Diffusion (Wang et al. 2023): an edit shown by one pair of pictures, said in words, or both.

InstructGIE's baseline: example and picture are seen through convolutions, and the answer alone is painted. Mask-free; a
mask that is given confines the result to it.
"""

from typing import Annotated, ClassVar

from pydantic import Field, SkipValidation

from ..roles import Pack
from ..settings import GuidanceScale, Steps
from ..values import Request, Result
from .confined import Confined
from .requests import Watch, unwatched
from .shown import as_it_is, asked_of, edit_shown


class PromptDiffusion(Confined):
    """Edits the whole picture as an example shows, as an instruction says, or as both do (Prompt Diffusion Sec. 3.2; a
    baseline of InstructGIE's Table 1)."""

    needs: ClassVar[frozenset[str]] = frozenset({"instruction", "example"})
    works_from: ClassVar[frozenset[str]] = frozenset()

    pack: Annotated[Pack, SkipValidation] = Field(repr=False)
    steps: Steps = Field(30, description="Euler ancestral steps")
    guidance: GuidanceScale = Field(9.0, description="guidance scale towards the instruction, as ControlNet's")
    unify: bool = Field(False, description="whether the instruction is said in unified words, as InstructGIE's is")

    def __call__(self, request: Request, watch: Watch = unwatched) -> Result:
        """Carry out the request; its plan is not looked at.

        Raises: RequestError for a picture or mask that cannot be used, or when there is neither an instruction nor an
        example; PackError for a missing role.
        """
        asked = asked_of(request, "Prompt Diffusion")
        model = self.pack.prompt_diffusion
        return edit_shown(self, "promptdiffusion", model, request, asked, as_it_is, watch)
