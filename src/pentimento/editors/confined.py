"""Where an edit lands: settings that all editors share, of looking at the part around a mask and pasting into it."""

from pydantic import Field

from ..diffusion.masks import ToGrid
from ..settings import Cells, Closeness, Margin, Pixels, Settings


class Confined(Settings):
    """Settings, and nothing else, of an edit that a mask may confine: its own, or one that is given."""

    mask_to_grid: ToGrid = Field("area", description="how a mask comes onto the latent grid")
    grow: Cells = Field(0, description="cells of the latent grid by which the mask grows to all sides")
    feather: Pixels = Field(2, description="soft border inside the mask, in the model's pixels")
    context: Margin = Field(0.5, description="margin around a mask in large pictures, in mask sides")
    closest: Closeness = Field(
        1.0, description="least side of the view around a mask, as a share of the model's; below 1 it is scaled up"
    )
