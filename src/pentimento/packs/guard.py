"""A torchvision that does not fit its torch must not break what never needed it."""

import importlib
import importlib.util
import sys


def hide_broken_torchvision() -> None:
    """Make `import torchvision` fail cleanly when the installed one cannot be imported.

    transformers only looks whether the package is there; with a broken one, CLIP's processor and every Stable
    Diffusion pipeline fail to import. Must run before transformers is imported.
    """
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except Exception:  # a compiled package that does not fit raises anything, mostly RuntimeError
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.modules["torchvision"] = None  # type: ignore[assignment]
