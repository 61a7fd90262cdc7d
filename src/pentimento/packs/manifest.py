"""What a pack says of itself: manifest.json, its hashes, and where its components lie.

{"name", "version", "notes",
 "roles": {role: {"kind", "components": {name: folder in the pack or "hub-id@revision/subfolder"}}},
 "defaults": {editor: {setting: value}},
 "downloads": {hub component: {file: bytes, about}},
 "files": {path in the pack: sha256}}
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ..errors import PackError

MANIFEST = "manifest.json"
PROVIDED: Mapping[str, str] = {
    "lpips_alexnet": "torchvision's AlexNet and the linear heads of lpips v0.1",
    "inception_v3": "the Inception-v3 of FID (2015-12-05)",
}
"""Kinds of role whose published weights are in no repository as safetensors: whoever has them puts them into the
role's folder. They measure photographs, and nothing edits with them."""


def _stays_inside(path: str) -> str:
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts or "\\" in path:
        raise ValueError(f"{path!r} is no path inside the pack")
    return path


Inside = Annotated[str, AfterValidator(_stays_inside)]


class Role(BaseModel):
    """One role: `kind` chooses the loader, `components` are its folders or hub ids."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    components: dict[str, Inside]


class Manifest(BaseModel):
    """A pack's manifest.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    notes: str = ""
    roles: dict[str, Role]
    defaults: dict[str, dict[str, Any]] = {}
    downloads: dict[str, dict[Inside, int]] = {}
    """The files that a component of the hub needs; a repository mostly holds far more."""
    files: dict[Inside, str] = {}

    @property
    def hash(self) -> str:
        """The sha256 over the files' hashes and the roles: two packs with one hash hold the same models."""
        return _hash_of(self.roles, self.files)

    def hash_of(self, *names: str) -> str:
        """The sha256 over some roles alone and their files: packs that share it hold the same models in these roles.

        Roles that the pack lacks are left out.
        """
        roles = {name: self.roles[name] for name in names if name in self.roles}
        folders = [PurePosixPath(part) for role in roles.values() for part in role.components.values()]
        own = {path: v for path, v in self.files.items() if not {*PurePosixPath(path).parents}.isdisjoint(folders)}
        return _hash_of(roles, own)


def _hash_of(roles: Mapping[str, Role], files: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for path, value in sorted(files.items()):
        digest.update(f"{path} {value}\n".encode())
    digest.update(json.dumps({name: role.model_dump() for name, role in roles.items()}, sort_keys=True).encode())
    return digest.hexdigest()


def read_manifest(path: Path) -> Manifest:
    """The manifest in the file `path`. Raises: PackError when it is missing or wrong, saying where."""
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise PackError(f"{path.parent} holds no pack ({path.name} cannot be read): give a pack's folder") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise PackError(f"{path} is no pack manifest: {place}: {first['msg']}") from error


def sha256_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(folder: Path, manifest: Manifest, under: Iterable[str] = ("",)) -> None:
    """Compare the files with the manifest's hashes; only those below the folders `under` when these are given.

    Raises: PackError that names the first file that is missing or differs.
    """
    parts = [PurePosixPath(part).parts for part in under]
    for path, value in manifest.files.items():
        if not any(PurePosixPath(path).parts[: len(part)] == part for part in parts):
            continue
        file = folder / path
        if not file.is_file():
            raise PackError(f"{file} is missing from the pack {manifest.name!r}: copy or train the pack again")
        if sha256_of(file) != value:
            raise PackError(f"{file} is not the file that the pack {manifest.name!r} was sealed with: copy it again")


def stamps(folder: Path, manifest: Manifest) -> dict[str, str]:
    """The sizes and times of the files that an unsealed pack's components have in `folder`: what it holds, by looks."""
    own = {c for role in manifest.roles.values() for c in role.components.values() if split_hub_id(c) is None}
    found = {path for component in own for path in (folder / component).rglob("*") if path.is_file()}
    return {
        path.relative_to(folder).as_posix(): f"{path.stat().st_size} bytes, {path.stat().st_mtime_ns} ns"
        for path in sorted(found)
    }


def split_hub_id(component: str) -> tuple[str, str, str] | None:
    """("owner/name", revision, subfolder) of "owner/name@revision/subfolder"; None for a folder in the pack."""
    repository, found, rest = component.partition("@")
    if not found:
        return None
    revision, _, subfolder = rest.partition("/")
    return repository, revision, subfolder


def fetch_command(repository: str, revision: str, files: Iterable[str]) -> str:
    """The command that downloads these files of a repository; all of them when none are named."""
    return " ".join(["hf download", repository, *files, "--revision", revision])


def locate(folder: Path, component: str, files: Iterable[str] = ()) -> Path:
    """Where a component lies on this machine; `files` are those that it needs. The network is never asked.

    Raises: PackError when it is not here, with the command that fetches it.
    """
    hub = split_hub_id(component)
    if hub is None:
        path = folder / component
        if not path.is_dir():
            raise PackError(f"{path} is missing: copy or train the pack again")
        return path
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    repository, revision, subfolder = hub
    command = fetch_command(repository, revision, (f"{subfolder}/{file}".lstrip("/") for file in files))
    fetch = f"get them with `{command}`, or give a folder with the same layout"
    try:
        path = Path(snapshot_download(repository, revision=revision, local_files_only=True)) / subfolder
    except LocalEntryNotFoundError as error:
        raise PackError(f"the weights of {repository} are not on this machine: {fetch}") from error
    if not path.is_dir():
        raise PackError(f"the weights of {repository} on this machine have no {subfolder}: {fetch}")
    return path
