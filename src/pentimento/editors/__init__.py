"""One file a method, each reading like its paper's method section; `EDITORS` names them for doors and tables.

An editor is frozen settings with a `pack`; `needs` says what a request must bring; calling it edits. There is no base
class: tests/editors/test_contract.py holds what all of them promise.
"""

from .instructedit import InstructEdit
from .instructpix2pix import InstructPix2Pix

EDITORS: dict[str, type[InstructEdit] | type[InstructPix2Pix]] = {
    "instructedit": InstructEdit,
    "instructpix2pix": InstructPix2Pix,
}
