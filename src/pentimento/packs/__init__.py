"""The packs' room: manifests to roles. The only room that knows `from_pretrained`, hub ids, devices and dtypes.

A pack is a folder with a manifest.json; the catalogue names those that come with the library. Roles are loaded when
they are first asked for, and components that roles share are loaded once.
"""

from .check import Report, Source, check
from .manifest import Manifest, Role, read_manifest, verify
from .pack import OpenPack, Placement, catalogue, find_pack, open_pack
from .sealing import seal, write_card

__all__ = [
    "Manifest", "OpenPack", "Placement", "Report", "Role", "Source", "catalogue", "check", "find_pack", "open_pack",
    "read_manifest", "seal", "verify", "write_card",
]  # fmt: skip
