"""Own torch models as folders: config.json says how to build one, model.safetensors holds its weights.

Weights are stored in fp16 and loaded in fp32. This file knows no model.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import PackError


def write_model(net: nn.Module, config: Mapping[str, Any], folder: Path, without: str | None = None) -> None:
    """Write `config` and the weights of `net` into `folder`, which is made when it is not there; not those of its
    module `without`, which lie elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    state = {
        name: (value.half() if value.is_floating_point() else value).detach().cpu().contiguous()
        for name, value in net.state_dict().items()
        if without is None or not name.startswith(f"{without}.")
    }
    save_file(state, folder / "model.safetensors")


def read_config(folder: Path, kind: str) -> dict[str, Any]:
    """The folder's config.json. Raises: PackError when it is missing, broken or of another kind."""
    path = Path(folder) / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PackError(f"{path} cannot be read as JSON ({error}); give the folder of a saved {kind}") from error
    if not isinstance(config, dict) or config.get("kind") != kind:
        raise PackError(f"{path} does not describe a {kind}; give the folder of a saved {kind}")
    return config


def digest(net: nn.Module, buffers: bool = False) -> str:
    """A name for a network's parameters as they are stored; with `buffers`, for its batch norms' statistics as well."""
    told = [*net.parameters(), *(b for b in net.buffers() if buffers and b.is_floating_point())]
    weights = b"".join(one.detach().half().cpu().numpy().tobytes() for one in told)
    return hashlib.sha256(weights).hexdigest()[:12]


def read_weights(net: nn.Module, folder: Path, has: str | None = None) -> None:
    """Load the folder's weights into `net`, in fp32; its module `has` keeps its own.

    Raises: PackError when they are missing or do not fit.
    """
    path = Path(folder) / "model.safetensors"
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise PackError(f"{path} cannot be read ({error}); train the model again or mend the pack") from error
    own = {} if has is None else {name: v for name, v in net.state_dict().items() if name.startswith(f"{has}.")}
    fill(net, own | state, path)


def read_published(folder: Path) -> dict[str, Tensor]:
    """All tensors of the folder's safetensors files, by their names there.

    Raises: PackError when there are none, or one cannot be read.
    """
    state: dict[str, Tensor] = {}
    for path in sorted(Path(folder).glob("*.safetensors")):
        try:
            state |= load_file(path)
        except (OSError, SafetensorError) as error:
            raise PackError(f"{path} cannot be read ({error}): copy it again") from error
    if not state:
        raise PackError(f"{folder} holds no safetensors file: convert the published weights")
    return state


def fill(net: nn.Module, state: Mapping[str, Tensor], source: Path) -> None:
    """Put all of `state` into `net`, in fp32, ready for use. Raises: PackError when it does not fit."""
    try:
        net.load_state_dict(
            {name: value.float() if value.dtype == torch.half else value for name, value in state.items()}
        )
    except RuntimeError as error:
        raise PackError(f"{source} does not fit the network: {str(error).splitlines()[-1].strip()}") from error
    net.eval().requires_grad_(False)
