"""A recipe of one second: a small net that learns to take noise away. Run as a script it prints every step it draws."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pentimento.training import Job, TrainSettings, train, warm_start


def batch(step: int, batch_size: int) -> dict[str, Tensor]:
    seeds = range(step * batch_size, (step + 1) * batch_size)
    return {"x": torch.stack([torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in seeds])}


def loss(model: nn.Module, batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
    noise = torch.randn(batch["x"].shape, generator=generator)
    return (model(batch["x"] + noise.to(batch["x"].device)) - batch["x"]).square().mean()


def export(model: nn.Module, folder: Path) -> None:
    (folder / "toy").mkdir()
    save_file(model.state_dict(), folder / "toy" / "model.safetensors")


def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU(), nn.Dropout(0.1), nn.Conv2d(8, 3, 3, padding=1)
        )


def job(pack_dir: Path, **changes: object) -> Job:
    model = net()
    warm_start(model, pack_dir / "toy")
    return Job(**{"model": model, "batch": batch, "loss": loss, "export": export} | changes)


def settings(**changes: object) -> TrainSettings:
    defaults = {"images": 8 * 400, "batch_size": 8, "warmup_images": 80, "ema": 200, "log_every": 10, "lr": 1e-2}
    return TrainSettings(**defaults | changes)


def talking_batch(step: int, batch_size: int) -> dict[str, Tensor]:
    print(step, flush=True)
    return batch(step, batch_size)


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    train(job(folder / "pack", batch=talking_batch), settings(checkpoint_minutes=float(sys.argv[2])), folder / "run",
          folder / "pack")  # fmt: skip
