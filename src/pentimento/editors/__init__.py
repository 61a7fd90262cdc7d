"""One file a method, each reading like its paper's method section; `EDITORS` names them for doors and tables.

An editor is frozen settings with a `pack`; calling it edits. `needs` says what a request must bring, `works_from` what
is worked out of the instruction before: its "plan" and the segmenter's "mask". There is no base class:
tests/editors/test_contract.py holds what all of them promise.
"""

from .diffedit import DiffEdit
from .inpaint import Inpaint
from .instructbrush import InstructBrush
from .instructedit import InstructEdit
from .instructpix2pix import InstructPix2Pix
from .mdp import MDP
from .sdedit import SDEdit

Editor = InstructEdit | InstructPix2Pix | DiffEdit | MDP | SDEdit | Inpaint | InstructBrush

EDITORS: dict[str, type[Editor]] = {
    "instructedit": InstructEdit,
    "instructpix2pix": InstructPix2Pix,
    "diffedit": DiffEdit,
    "mdp": MDP,
    "sdedit": SDEdit,
    "inpaint": Inpaint,
    "instructbrush": InstructBrush,
    "visii": InstructBrush,
}
"""What Visii learned is applied as what InstructBrush learned: they differ in how and in which space they learn."""
