"""docs/papers.md and the code name each other: no row without a function, no cited equation without a row."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMED = re.findall(r"`(pentimento[\w.]+):(\w+)`", (ROOT / "docs" / "papers.md").read_text(encoding="utf-8"))
CITES = re.compile(r"\bEq\.|\bTable\b")
PUBLIC = (ast.FunctionDef, ast.ClassDef)


def definitions(path: Path) -> dict[str, str]:
    """The public functions and classes of a file, each with its docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name: ast.get_docstring(node) or ""
        for node in tree.body
        if isinstance(node, PUBLIC) and not node.name.startswith("_")
    }


@pytest.mark.parametrize(("module", "name"), NAMED)
def test_every_function_in_the_table_exists(module: str, name: str) -> None:
    path = ROOT.joinpath("src", *module.split(".")).with_suffix(".py")
    assert name in definitions(path)


def test_every_row_of_the_table_names_a_function() -> None:
    lines = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("|") and not line.startswith(("| paper", "| ---"))]
    assert rows and all(re.search(r"`pentimento[\w.]+:\w+`", row) for row in rows)
    assert all(row.count("|") == 4 for row in rows)


@pytest.mark.parametrize("room", ["diffusion", "editors"])
def test_every_function_that_cites_an_equation_or_a_table_is_in_the_table(room: str) -> None:
    for path in sorted((ROOT / "src" / "pentimento" / room).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        for name, doc in definitions(path).items():
            if CITES.search(doc):
                assert (module, name) in NAMED, (
                    f"{module}:{name} cites an equation or a table: add it to docs/papers.md"
                )
