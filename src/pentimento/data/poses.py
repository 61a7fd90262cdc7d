"""What a creature may do besides standing there: its drawing turned, upside down, or lifted off its shadow.

Poses are the drawn world's "actions" (InstructGIE Fig. 6). Nothing here knows scenes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

STANDING = ""


@dataclass(frozen=True)
class Pose:
    """How a drawing is changed: `turn` degrees counterclockwise as it is drawn (to its left, where most animals look),
    `upside_down`, and `lift`, how far above its ground it hangs, as a fraction of the thing's size."""

    turn: float = 0.0
    upside_down: bool = False
    lift: float = 0.0


POSES: Mapping[str, Pose] = {
    "jumping": Pose(lift=0.35),
    "lying down": Pose(turn=90),
    "doing a headstand": Pose(upside_down=True),
    "leaning to one side": Pose(turn=40),
    "rearing up": Pose(turn=-50),
    "bowing down": Pose(turn=35),
    "lying on its back": Pose(upside_down=True),
}
"""By what a caption says."""
_UPRIGHT = ("jumping", "lying down", "doing a headstand", "leaning to one side")
_ON_FOURS = ("jumping", "rearing up", "bowing down", "lying on its back")
CREATURES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("boy", "girl", "man", "woman", "astronaut", "clown", "robot", "ghost", "snowman", "lion", "bear", "panda",
         "monkey", "penguin", "owl", "frog", "fox"), _UPRIGHT,
    ),
    **dict.fromkeys(
        ("cat", "dog", "tiger", "rabbit", "horse", "cow", "pig", "elephant", "turtle", "sheep", "giraffe", "dinosaur"),
        _ON_FOURS,
    ),
    **dict.fromkeys(("zebra", "duck", "fish", "whale", "shrimp"), ("jumping",)),
}  # fmt: skip
"""The poses of every noun that has any: those that its artwork, seen from the front or the side, shows clearly."""


def posed(sprite: Image.Image, pose: str, flip: bool) -> Image.Image:
    """The sprite, straight-alpha RGBA, as the pose shows it, cropped to what it covers; `flip` tells that it is
    mirrored."""
    how = POSES[pose]
    if how.upside_down:
        return sprite.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    if not how.turn:
        return sprite
    turned = sprite.rotate(-how.turn if flip else how.turn, Image.Resampling.BICUBIC, expand=True)
    return turned.crop(turned.getchannel("A").point(lambda a: 255 * (a > 8)).getbbox())
