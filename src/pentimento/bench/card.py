"""Figures in words for a pack's card: what was measured, with n and interval, taken from the bench's own reports."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import RequestError

SCORES = "scores.json"


def in_words(figure: Mapping[str, Any], unit: str = "share") -> str:
    """A figure as a card says it: "91.5 % [86.8, 94.6], n = 200", or "28.31 dB [28.02, 28.60], n = 200"."""
    if not figure["n"]:
        return "not measured"
    if unit == "share":
        value, low, high = (f"{100 * figure[key]:.1f}" for key in ("value", "low", "high"))
        return f"{value} % [{low}, {high}], n = {figure['n']}"
    value, low, high = (f"{figure[key]:.2f}" for key in ("value", "low", "high"))
    return f"{value} {unit} [{low}, {high}], n = {figure['n']}".replace("  ", " ")


def collect(folder: Path) -> dict[str, str]:
    """The figures in words of all reports below `folder`; a report is a .json file with "figures".

    Raises: RequestError when there is none.
    """
    figures: dict[str, str] = {}
    for path in sorted(folder.rglob("*.json")):
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RequestError(f"{path} is no JSON ({error}): measure again") from None
        if isinstance(report, dict):
            figures |= report.get("figures", {})
    if not figures:
        raise RequestError(f"{folder} holds no reports: run pentimento bench instructedit, or bench pack, first")
    return figures


def store(figures: Mapping[str, str], pack_folder: Path) -> Path:
    """Write scores.json, from which the pack's CARD.md is made when it is sealed; older figures are kept."""
    path = pack_folder / SCORES
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(known | dict(figures), indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)
    return path
