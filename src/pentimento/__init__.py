"""Edit pictures by instruction.

    import pentimento
    edited = pentimento.edit("in.png", "change the cat to a tiger")
    edited.image.save("out.png")

Everything here is loaded when it is first used, so that the import costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .images import Picture as Picture
    from .images import open_mask as open_mask
    from .images import open_picture as open_picture
    from .studio import Edited as Edited
    from .studio import again as again
    from .studio import edit as edit
    from .studio import learn as learn
    from .studio import open_studio as open_studio
    from .studio import save as save
    from .values import Pair as Pair
    from .values import Plan as Plan

_HOMES = {
    "Edited": "studio", "again": "studio", "edit": "studio", "learn": "studio", "open_studio": "studio",
    "save": "studio",
    "Picture": "images", "open_mask": "images", "open_picture": "images", "Pair": "values", "Plan": "values",
}  # fmt: skip

__all__ = [
    "Edited", "Pair", "Picture", "Plan", "again", "edit", "learn", "open_mask", "open_picture", "open_studio", "save",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
