"""Who may import whom. Siblings meet only upstairs; nothing imports what stands above it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
GROUND = {"values", "roles", "settings", "errors", "images", "learned", "record", "arithmetic"}
FIRST = {"diffusion", "language", "vision"}
SECOND = {"editors", "packs", "data", "training"}
THIRD = {"learning", "recipes", "bench"}
ALLOWED: dict[str, set[str]] = {
    **{room: GROUND for room in GROUND | FIRST},
    "editors": GROUND | {"diffusion", "language"},
    "packs": GROUND | FIRST,
    "data": GROUND | {"diffusion", "language"},
    "training": GROUND | {"diffusion"},
    **{room: GROUND | FIRST | SECOND for room in ("learning", "recipes")},
    **{room: GROUND | FIRST | SECOND | {"learning"} for room in ("bench", "studio")},
    "web": GROUND | FIRST | SECOND | THIRD | {"studio"},
    "cli": GROUND | FIRST | SECOND | THIRD | {"studio", "web"},
    "__main__": {"cli"},
    "__init__": GROUND | {"studio"},
}
FILES = sorted((SOURCE / "pentimento").rglob("*.py"))


def module_name(path: Path) -> str:
    """`src/pentimento/editors/instructedit.py` as "pentimento.editors.instructedit"."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def room(module: str) -> str:
    """The room of a module; the package itself is "__init__"."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def exists(module: str) -> bool:
    path = SOURCE.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every module of ours that a file names in an import, anywhere in it, or as a whole string (for import_module)."""
    module = module_name(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import():
                named = [alias.name for alias in node.names]
            case ast.ImportFrom():
                above = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
                base = ".".join(part for part in (above, node.module) if part)
                inside = [f"{base}.{alias.name}" for alias in node.names]
                named = [name if exists(name) else base for name in inside]
            case ast.Constant(value=str(text)) if re.fullmatch(r"pentimento(\.\w+)+", text):
                named = [text]
            case _:
                continue
        yield from ((node.lineno, name) for name in named if name.split(".")[0] == "pentimento")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE / "pentimento")))
def test_a_file_imports_only_from_its_own_room_and_the_floors_below(path: Path) -> None:
    own = room(module_name(path))
    assert own in ALLOWED, f"{path.name} belongs to no room"
    for line, name in imports(path):
        target = room(name)
        if target in (own, "__init__"):
            continue
        assert target in ALLOWED[own], f"{path.relative_to(SOURCE)}:{line}: {own} may not import {target} ({name})"


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("from ..vision import select", "pentimento.vision.select"),
        ("from ..vision.select import select", "pentimento.vision.select"),
        ("from .. import studio", "pentimento.studio"),
        ("import pentimento.cli", "pentimento.cli"),
        ("def f():\n    from pentimento.packs import open_pack", "pentimento.packs"),
        ("from . import instructpix2pix", "pentimento.editors.instructpix2pix"),
        ("HOME = 'pentimento.vision.clip'", "pentimento.vision.clip"),
    ],
)
def test_every_way_to_import_is_seen(statement: str, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda self, encoding=None: statement)
    path = SOURCE / "pentimento" / "editors" / "instructedit.py"
    assert [name for _, name in imports(path)] == [named]
