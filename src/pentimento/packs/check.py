"""What of a pack is on this machine, what would be downloaded, and how large. Nothing is downloaded here.

The hub is asked for sizes when something is missing, for a few seconds and never longer; without it the manifest's own
sizes are told, which are about right.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread

from ..errors import PackError
from .manifest import PROVIDED, Manifest, fetch_command, locate, split_hub_id, verify

SECONDS = 8.0
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Source:
    """One repository, or the pack's own folder (revision ""), and what is missing of it.

    `size` is the bytes of all files that are needed, `download` of those that are missing; 0 where nobody knows.
    `unknown` are needed files that the hub does not list at this revision.
    """

    name: str
    revision: str
    roles: tuple[str, ...]
    files: tuple[str, ...]
    missing: tuple[str, ...]
    size: int = 0
    download: int = 0
    unknown: tuple[str, ...] = ()

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit; a branch may hold other files tomorrow."""
        return not self.revision or COMMIT.fullmatch(self.revision) is not None

    @property
    def fetch(self) -> str:
        """The command that downloads what is missing; "" when nothing is, or when it is no repository."""
        return fetch_command(self.name, self.revision, self.missing) if self.revision and self.missing else ""


@dataclass(frozen=True)
class Report:
    """All sources, and what came of asking the hub for sizes: "" when nothing had to be asked, else in words."""

    sources: tuple[Source, ...]
    hub: str

    @property
    def missing(self) -> tuple[Source, ...]:
        return tuple(source for source in self.sources if source.missing)


def check(folder: Path, manifest: Manifest, only: Sequence[str] = (), seconds: float = SECONDS) -> Report:
    """What of the roles `only`, or of all that edit, is here. The hub is asked for at most `seconds`.

    Raises: PackError for a role that the pack does not have, or a file of its own that differs from its hash.
    """
    for role in only:
        if role not in manifest.roles:
            raise PackError(f"the pack {manifest.name!r} has no {role}: it has {', '.join(manifest.roles)}")
    wanted: dict[tuple[str, str], dict[str, set[str]]] = {}
    for role, one in manifest.roles.items():
        for component in one.components.values():
            if role in only or (not only and one.kind not in PROVIDED):
                name, revision, _ = split_hub_id(component) or (str(folder), "", "")
                wanted.setdefault((name, revision), {}).setdefault(component, set()).add(role)
    sources = [_source(folder, manifest, *key, components) for key, components in wanted.items()]
    asked = [source for source in sources if source.revision and source.missing]
    if not asked:
        return Report(tuple(sources), "")
    sizes, trouble = hub_sizes([(source.name, source.revision) for source in asked], seconds)
    measured = [
        _measured(source, sizes[source.name, source.revision]) if (source.name, source.revision) in sizes else source
        for source in sources
    ]
    return Report(tuple(measured), trouble or "reached: sizes are its own")


def hub_sizes(
    repositories: Sequence[tuple[str, str]], seconds: float
) -> tuple[dict[tuple[str, str], dict[str, int]], str]:
    """The size of every file of each (repository, revision), and the trouble in words, "" when there was none.

    A thread asks, because a name lookup obeys no timeout; it is left behind when the time is over.
    """
    found: dict[tuple[str, str], dict[str, int]] = {}
    trouble: list[str] = []

    def ask() -> None:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HTTPError  # the HTTP library's own, whichever one it is

        for name, revision in repositories:
            try:
                info = HfApi().model_info(name, revision=revision, files_metadata=True, timeout=seconds / 2)
            except (HTTPError, OSError, ValueError, RuntimeError) as error:
                line = (str(error).strip() or type(error).__name__).splitlines()[0]
                trouble.append(f"not reached for {name} ({line[:120]})")
                return
            found[name, revision] = {file.rfilename: file.size or 0 for file in info.siblings or ()}

    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        return dict(found), f"no answer within {seconds:g} seconds"
    return found, "".join(trouble)


def _source(folder: Path, manifest: Manifest, name: str, revision: str, components: dict[str, set[str]]) -> Source:
    """What is here of one repository, or of the pack's own folder, by the manifest's own list of files."""
    roles = tuple(role for role in manifest.roles if any(role in of for of in components.values()))
    sizes: dict[str, int] = {}
    missing: list[str] = []
    for component in components:
        hub = split_hub_id(component)
        if hub is None:
            absent = not (folder / component).is_dir()
            sizes |= _on_disk(folder, component)
            missing += [component] if absent else []
            if not absent:
                verify(folder, manifest, [component])
            continue
        below = f"{hub[2]}/" if hub[2] else ""
        files = {f"{below}{file}": size for file, size in manifest.downloads.get(component, {}).items()}
        if files:
            missing += [file for file in files if not _cached(name, revision, file)]
        else:
            files = {f"{below}*": 0}
            missing += [*files] if not _located(folder, component) else []
        sizes |= files
    download = sum(sizes.get(file, 0) for file in missing)
    return Source(name, revision, roles, tuple(sizes), tuple(missing), sum(sizes.values()), download)


def _measured(source: Source, sizes: dict[str, int]) -> Source:
    """The source with the hub's sizes instead of the manifest's."""
    if any(file.endswith("*") for file in source.files):
        return source
    return replace(
        source,
        size=sum(sizes.get(file, 0) for file in source.files),
        download=sum(sizes.get(file, 0) for file in source.missing),
        unknown=tuple(file for file in source.files if file not in sizes),
    )


def _on_disk(folder: Path, component: str) -> dict[str, int]:
    files = (path for path in sorted((folder / component).rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _cached(name: str, revision: str, file: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(name, file, revision=revision), str)


def _located(folder: Path, component: str) -> bool:
    try:
        return bool(locate(folder, component))
    except PackError:
        return False
