"""InstructBrush (Zhao et al. 2024): InstructPix2Pix by an instruction that was learned from pairs of pictures.

The learned keys and values stand in the cross-attention layers, in the text branch alone, and change with the timestep
(Sec. 4.1). How they are learned is `learning.instruction`'s affair. A mask confines the edit; words are said after it.
What Visii (Nguyen et al. 2023) learned, token states instead of keys and values, is applied by the same call.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field, SkipValidation

from ..roles import Pack
from ..settings import GuidanceScale, Steps, Strength
from ..values import Request, Result
from .confined import Confined
from .instructed import ImageLatents, edits_read, learned_of, learned_saying, places_free, said_after
from .requests import Watch, unwatched


class InstructBrush(Confined):
    """Applies a learned instruction to a picture.

    The guidance scales and the latents' scale belong to what was learned, `Learned.scales`: studio and cli take them
    from there, whoever makes this editor has to give them.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"learned"})
    works_from: ClassVar[frozenset[str]] = frozenset()

    pack: Annotated[Pack, SkipValidation] = Field(repr=False)
    steps: Steps = Field(20, description="Euler ancestral steps")
    guidance: GuidanceScale = Field(7.5, description="guidance scale towards the learned instruction")
    image_guidance: GuidanceScale = Field(1.5, description="guidance scale towards the picture")
    strength: Strength = Field(1.0, description="factor of the guidance scale: below 1 a weaker effect, 0 none")
    image_latents: ImageLatents = Field("scaled", description="scale of the picture's latents")

    def __call__(self, request: Request, watch: Watch = unwatched) -> Result:
        """Carry out the request.

        Raises: RequestError for a picture or mask that cannot be used, or when the learned instruction is missing,
        belongs to another model or does not fit into it; PackError for a missing role.
        """
        (result,) = self.of_seeds(request, (request.seed,), watch)
        return result

    def of_seeds(self, request: Request, seeds: Sequence[int], watch: Watch = unwatched) -> tuple[Result, ...]:
        """A result for each seed, drawn as one batch: as a call with that seed, within rounding.

        Raises: as a call.
        """
        model = self.pack.instruct
        learned = learned_of(request, model)
        guidance = self.guidance * self.strength
        words, saying = said_after(learned, request), learned_saying(learned)
        free = places_free(learned, request, model)
        return edits_read(self, learned.method, model, request, seeds, words, guidance, saying, watch, free)
