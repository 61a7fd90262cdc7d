"""What is drawn once and kept on disk, so that no recipe draws it again: chunks of pictures, or other arrays, by seed.

A chunk appears whole or not at all; a killed run goes on with the next missing one. A picture is always the one that
`scenes.draw_scene`, or what draws an edit, gives for its seed, so words and masks are taken from there, never stored.
"""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .scenes import WORLD_VERSION, draw_scene, render

CHUNK = 1000


@dataclass(frozen=True)
class Store:
    """Arrays by seed, 0..count-1, read from disk as they are asked for."""

    chunks: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return sum(len(c) for c in self.chunks)

    def __getitem__(self, seed: int) -> np.ndarray:
        return self.chunks[seed // CHUNK][seed % CHUNK]


def scene_store(folder: Path, count: int, split: str = "train", size: int = 128) -> Store:
    """The first `count` scenes of a split, rounded up to whole chunks; draws what is missing in `folder`."""
    return stored(folder, f"scenes-v{WORLD_VERSION}-{split}-{size}", partial(_scene, split=split, size=size), count)


def stored(folder: Path, name: str, draw: Callable[[int], np.ndarray], count: int) -> Store:
    """What `draw` makes of the seeds 0..count-1, kept in `folder` under `name`; draws the chunks that are missing, on
    all processors. `draw` has to be a function that other processes can import."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}-{i:04d}.npy" for i in range(-(-count // CHUNK))]
    missing = [i for i, path in enumerate(paths) if not path.exists()]
    if missing:
        with ProcessPoolExecutor(min(len(missing), os.cpu_count() or 1)) as pool:
            drawn = pool.map(partial(_draw_chunk, draw=draw), missing, [paths[i] for i in missing])
            for _ in tqdm(drawn, total=len(missing), desc=f"drawing {name}", unit="thousand"):
                pass
    return Store(tuple(np.load(path, mmap_mode="r") for path in paths))


def _scene(seed: int, split: str, size: int) -> np.ndarray:
    return render(draw_scene(seed, split), size).image


def _draw_chunk(index: int, path: Path, draw: Callable[[int], np.ndarray]) -> None:
    save_whole(path, np.stack([draw(seed) for seed in range(index * CHUNK, (index + 1) * CHUNK)]))


def save_whole(path: Path, array: np.ndarray) -> None:
    """Write an array to a .npy file, which appears whole or not at all."""
    partial_path = path.with_name(f".{path.stem}.partial.npy")
    np.save(partial_path, array)
    os.replace(partial_path, path)
