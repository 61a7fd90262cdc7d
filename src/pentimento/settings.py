"""Settings: one definition gives the flag, the range check, the help line and the line in the record.

Here live the ranges that several methods share, the frozen base of all settings, and the few functions
that turn words such as `ratio=0.5` into checked settings. No defaults of any method live here.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from .errors import RequestError

Model = TypeVar("Model")

Steps = Annotated[int, Field(ge=1, le=1000)]
"""Sampler steps. How near DDIM's come to the end of the schedule depends on their number; see `schedule.levels`."""
EncodingRatio = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""Fraction of the steps that an inversion climbs: 0 returns the input, 1 goes to the noisiest level, which need
not be pure noise (see `schedule.levels`)."""
GuidanceScale = Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)]
"""Classifier-free guidance; 1 is the conditional branch alone."""
Strength = Annotated[float, Field(ge=0, le=4, allow_inf_nan=False)]
"""A factor of an effect; 1 is the effect itself."""
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""A part of a whole."""
Threshold = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""A score below which something counts as absent."""
Pixels = Annotated[int, Field(ge=0, le=64)]
"""A width in the model's pixels."""
Cells = Annotated[int, Field(ge=0, le=8)]
"""A width in cells of the latent grid."""
Margin = Annotated[float, Field(ge=0, le=8, allow_inf_nan=False)]
"""Room around a mask, in its longer sides."""
Closeness = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
"""The least side of a view, as a share of the model's own size; below 1 a small part is scaled up."""


class Settings(BaseModel):
    """Frozen, checked settings; an unknown name is refused. Subclasses add fields, nothing else."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, validate_default=True, protected_namespaces=()
    )


@dataclass(frozen=True)
class Setting:
    """One setting in words, for help texts and messages. `wanted` says type and range."""

    name: str
    wanted: str
    default: Any
    about: str


def fields_of(model: type) -> Mapping[str, FieldInfo]:
    """The pydantic fields of a model or of a pydantic dataclass, by name."""
    return model.__pydantic_fields__  # type: ignore[attr-defined,no-any-return]


def describe(model: type, without: Iterable[str] = ("pack",)) -> tuple[Setting, ...]:
    """What can be set on `model`, its own before what it shares with others; `without` names fields that are no
    settings."""
    shared = {name for base in model.__bases__ for name in getattr(base, "__pydantic_fields__", ())}
    return tuple(
        Setting(name, wanted(info), None if info.is_required() else info.get_default(), info.description or "")
        for name, info in sorted(fields_of(model).items(), key=lambda field: field[0] in shared)
        if name not in set(without)
    )


def wanted(info: FieldInfo) -> str:
    """Type and range of a field, such as "a number in [0, 1]" or "one of all, best"."""
    annotation: Any = info.annotation
    choices = getattr(annotation, "__args__", ()) if getattr(annotation, "__name__", "") == "Literal" else ()
    if choices:
        return "one of " + ", ".join(map(str, choices))
    kind = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(annotation)
    if kind is None:
        kind = str(annotation).replace("typing.", "")
    bounds = {
        key: bound for mark in info.metadata for key in _BOUNDS if (bound := getattr(mark, key, None)) is not None
    }
    low = f"[{bounds['ge']}" if "ge" in bounds else f"({bounds['gt']}" if "gt" in bounds else None
    high = f"{bounds['le']}]" if "le" in bounds else f"{bounds['lt']})" if "lt" in bounds else None
    if low and high:
        return f"{kind} in {low}, {high}"
    if low:
        return f"{kind}, {'at least' if 'ge' in bounds else 'more than'} {low[1:]}"
    if high:
        return f"{kind}, {'at most' if 'le' in bounds else 'less than'} {high[:-1]}"
    return kind


_BOUNDS = ("ge", "gt", "le", "lt")


def friendly(error: ValidationError, model: type | None = None) -> str:
    """One line that says what was given, what was wanted and where; with `model` it names the whole range."""
    fields = fields_of(model) if model is not None else {}
    lines = []
    for problem in error.errors(include_url=False):
        name = ".".join(str(part) for part in problem["loc"]) or error.title
        field = fields.get(str(problem["loc"][0])) if problem["loc"] else None
        if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            lines.append(f"unknown {name!r}" + (f" (there are {', '.join(_names(fields))})" if fields else ""))
        elif problem["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
            lines.append(f"{name} is missing" + (f" (wanted {wanted(field)})" if field else ""))
        else:
            said = problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
            asked = f"wanted {wanted(field)}" if field else said[:1].lower() + said[1:]
            lines.append(f"{name} = {_short(problem['input'])}: {asked}")
    return "; ".join(lines)


def _names(fields: Mapping[str, FieldInfo]) -> list[str]:
    return [name for name in fields if name != "pack"]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def assignments(words: Iterable[str]) -> dict[str, Any]:
    """`["ratio=0.5"]` as a dict of texts, which the settings' types turn into numbers; lists are read as JSON.

    Raises:
        RequestError: a word without "=" or without a name, or a list that is no JSON.
    """
    settings: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.strip():
            raise RequestError(f"--set {word!r} is no setting: write it as name=value, for example --set ratio=0.5")
        structured = value.startswith(("[", "{")) or value == "null"
        try:
            settings[name.strip()] = json.loads(value) if structured else value
        except json.JSONDecodeError as error:
            raise RequestError(f"--set {word!r} is no JSON: {error}") from None
    return settings


def build(model: type[Model], what: str, settings: Mapping[str, Any]) -> Model:
    """`model(**settings)`, or one line that names the setting and its range.

    Raises:
        RequestError: a setting that is unknown, missing or out of its range; `what` says whose it is.
    """
    try:
        return model(**settings)
    except ValidationError as error:
        raise RequestError(f"{what}: {friendly(error, model)}") from None
