"""One edit at several encoding ratios: what a sweep shares is done once, and the rest as one batch."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from ..values import Plan, Request, Result
from .instructedit import InstructEdit
from .masked import edit_inside, edits_inside
from .planned import Carry, Step, carried_out, everywhere, worked_out
from .requests import Watch, unwatched


def at_ratios(
    editor: InstructEdit, request: Request, ratios: Sequence[float], watch: Watch = unwatched
) -> tuple[Result, ...]:
    """What the editor makes of the request at each of the encoding ratios (InstructEdit Fig. 7).

    Plans, masks and the inversion are worked out once, and all ratios decoded together (`masked.edits_inside`); the
    first result's record carries the batch's seconds. Of several plans in one instruction the first is decoded so: the
    others work on pictures that differ.
    Raises: as `InstructEdit` does; ValidationError for a ratio outside [0, 1].
    """
    editors = [InstructEdit(**{**dict(editor), "ratio": ratio}) for ratio in ratios]
    work = worked_out(editor, "instructedit", request, watch, finds=True)
    model = editor.pack.text_to_image
    together: list[Step] = []

    def carry_at(i: int) -> Carry:
        def carry(picture: Image.Image, plan: Plan, mask: np.ndarray | None) -> Step:
            region = mask if mask is not None else everywhere(picture)
            if plan is not work.plans[0]:
                return edit_inside(editors[i], model, picture, plan, region, request.seed, watch)
            if not together:
                together.extend(edits_inside(editor, ratios, model, picture, plan, region, request.seed, watch))
            return together[i]

        return carry

    return tuple(carried_out(each, "instructedit", request, work, carry_at(i)) for i, each in enumerate(editors))
