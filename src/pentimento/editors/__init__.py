"""One file a method, each reading like its paper's method section; `EDITORS` names them for doors and tables.

An editor is frozen settings with a `pack`; calling it edits. `needs` says what a request must bring, one of these or
several: an "instruction", a "learned" one, an "example". `works_from` says what is worked out of the instruction
before: its "plan" and the segmenter's "mask". There is no base class: tests/editors/test_contract.py holds what all of
them promise.
"""

from .diffedit import DiffEdit
from .inpaint import Inpaint
from .instructbrush import InstructBrush
from .instructedit import InstructEdit
from .instructgie import InstructGIE
from .instructpix2pix import InstructPix2Pix
from .mdp import MDP
from .promptdiffusion import PromptDiffusion
from .sdedit import SDEdit

Editor = (
    InstructEdit | InstructPix2Pix | DiffEdit | MDP | SDEdit | Inpaint | InstructBrush | InstructGIE | PromptDiffusion
)

EDITORS: dict[str, type[Editor]] = {
    "instructedit": InstructEdit,
    "instructpix2pix": InstructPix2Pix,
    "diffedit": DiffEdit,
    "mdp": MDP,
    "sdedit": SDEdit,
    "inpaint": Inpaint,
    "instructbrush": InstructBrush,
    "visii": InstructBrush,
    "instructgie": InstructGIE,
    "promptdiffusion": PromptDiffusion,
}
"""What Visii learned is applied as what InstructBrush learned: they differ in how and in which space they learn."""
