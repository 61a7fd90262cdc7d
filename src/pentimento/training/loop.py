"""The one loop. Everything in a step is a function of the settings and the step's number, so a run that was killed
goes on from its checkpoint as if nothing had happened: on the same machine it ends with the same bits.

`accelerate` finds the device and the processes: one CPU, one GPU, or `accelerate launch` over many. Gradients are
averaged over the processes by hand, after the backward pass, so that a loss may call any method of its model.
"""

import copy
import dataclasses
import hashlib
import json
import math
import os
import platform
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, send_to_device
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ..arithmetic import computes_bf16
from ..errors import TrainingError
from .checkpoint import Position, restore, save
from .job import Job, TrainReport, TrainSettings
from .weights import export_whole, write_json


def train(
    job: Job, settings: TrainSettings, run_dir: Path, pack_dir: Path, device: torch.device | None = None
) -> TrainReport:
    """Train `job`, or go on with it, and export the averaged weights into `pack_dir`; on the `device`, or else on what
    `accelerate` finds.

    It stops when all images are seen, when `settings.minutes` are over, or at SIGINT or SIGTERM; each time it writes
    a checkpoint, exports, and the same command goes on from there. `run_dir` gets settings.json, log.jsonl,
    report.json, checkpoints and samples.

    Raises: TrainingError when the run folder belongs to other settings or was trained beside other models, or when the
    loss is no finite number.
    """
    if device is not None and device.type == "cuda":
        torch.cuda.set_device(device)
    accelerator = Accelerator(cpu=device.type == "cpu" if device is not None else not torch.cuda.is_available())
    rank, processes, device = accelerator.process_index, accelerator.num_processes, accelerator.device
    if settings.batch_size % processes:
        raise TrainingError(f"batch_size {settings.batch_size} cannot be shared by {processes} processes: change it")
    if settings.batch_size % (processes * job.parts):
        raise TrainingError(f"batch_size {settings.batch_size} cannot be cut into {job.parts} parts: change either")
    run_dir, pack_dir = Path(run_dir), Path(pack_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    torch.backends.cudnn.deterministic = True

    model = job.model.to(device).train()
    ema = copy.deepcopy(model).eval().requires_grad_(False)
    for module in job.frozen:
        module.to(device).eval().requires_grad_(False)
    optimizer = _optimizer(model, settings, job.rivals)
    dumped = settings.model_dump(mode="json")
    found = restore(run_dir, dumped, job.beside, model, ema, optimizer)
    start = found or Position(step=0, seconds=0.0, log_bytes=0, loss=math.nan, settings=dumped, beside=job.beside)
    steps = math.ceil(settings.images / settings.batch_size)
    log_path = run_dir / "log.jsonl"
    if accelerator.is_main_process:
        write_json(run_dir / "settings.json", dumped)
        with open(log_path, "ab") as log:
            log.truncate(min(start.log_bytes, log.tell()))  # a log that was deleted begins anew, not with zeros

    began = time.monotonic()
    saved_at = sampled_at = began
    step, loss, total, counted = start.step, start.loss, torch.zeros((), device=device), 0
    half = settings.precision == "bf16" or (settings.precision == "auto" and computes_bf16(device))
    limit = math.inf if settings.minutes is None else settings.minutes * 60
    parameters = [p for p in model.parameters() if p.requires_grad]
    if processes > 1:
        _share_weights(model, ema)
    bar = tqdm(total=steps * settings.batch_size, initial=step * settings.batch_size, unit="img", mininterval=1.0,
               desc=run_dir.name, disable=not accelerator.is_main_process)  # fmt: skip

    def seconds() -> float:
        return start.seconds + time.monotonic() - began

    def refuse_nonfinite() -> None:
        if not math.isfinite(float(total)):
            raise TrainingError(
                f"the loss is no finite number after {step * settings.batch_size} images: lower lr "
                f"(now {settings.lr}), or compute in fp32; the last checkpoint is from before"
            )

    def note_loss() -> None:
        nonlocal loss, total, counted
        refuse_nonfinite()
        if counted:
            loss, total, counted = float(total) / counted, torch.zeros((), device=device), 0

    def checkpoint() -> None:
        refuse_nonfinite()
        position = Position(step, seconds(), log_path.stat().st_size, loss, dumped, job.beside)
        save(run_dir, step * settings.batch_size, position, model, ema, optimizer)

    def sample() -> None:
        if job.sample is not None:
            (run_dir / "samples").mkdir(exist_ok=True)
            with torch.no_grad():
                job.sample(ema, run_dir / "samples" / f"{step * settings.batch_size:010d}.png")

    with _asked_to_stop() as asked, bar:
        first = steps if start.seconds >= limit else step
        for step, parts in _batches(job, settings, first, steps, rank, processes):
            seed = _seed(settings.seed, step, rank)
            torch.manual_seed(seed)  # dropout and its like
            for group in optimizer.param_groups:
                if not group["steady"]:
                    group["lr"] = learning_rate(settings, step)
            optimizer.zero_grad(set_to_none=True)
            generator, value = torch.Generator().manual_seed(seed), torch.zeros((), device=device)
            for batch in parts:
                with torch.autocast(device.type, torch.bfloat16, enabled=half):
                    part = job.loss(model, _to_device(batch, device), generator).float() / job.parts
                part.backward()
                value += part.detach()
            stop = bool(asked) or seconds() >= limit
            if processes > 1:
                stop = _average(parameters, accelerator, stop)
            norm = torch.nn.utils.clip_grad_norm_(parameters, settings.clip or math.inf)
            optimizer.step()
            _average_weights(ema, model, settings, step)
            total += value + 0 * norm  # not finite when the gradient is not: nothing bad gets saved
            counted += 1
            step += 1
            bar.update(settings.batch_size)
            if step % settings.log_every == 0:
                note_loss()
                bar.set_postfix(_postfix(loss, limit - seconds()), refresh=False)
                if accelerator.is_main_process:
                    _log(log_path, step, loss, seconds(), settings)
            now = time.monotonic()
            if accelerator.is_main_process and step < steps and not stop:
                if now - saved_at >= settings.checkpoint_minutes * 60:
                    checkpoint()
                    saved_at = time.monotonic()
                if job.sample is not None and now - sampled_at >= settings.sample_minutes * 60:
                    sample()
                    sampled_at = time.monotonic()
            if stop:
                break
        note_loss()
        report = TrainReport(
            images=step * settings.batch_size, steps=step, minutes=round(seconds() / 60, 3), loss=loss,
            finished=step >= steps, hardware=f"{hardware(device)}, {'bf16' if half else 'fp32'}",
            processes=processes, settings=dumped,
        )  # fmt: skip
        if accelerator.is_main_process:
            if step > start.step:
                checkpoint()
            if not _told(run_dir, report):  # also after a run that ended in its last sample
                sample()
            export_whole(lambda folder: job.export(ema, folder), pack_dir, run_dir.name)
            write_json(run_dir / "report.json", report.to_json())
    accelerator.wait_for_everyone()
    return report


def _told(run_dir: Path, report: TrainReport) -> bool:
    """Whether a run has ended well at that image before: its report is written last."""
    try:
        return bool(json.loads((run_dir / "report.json").read_text("utf-8"))["images"] == report.images)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def learning_rate(settings: TrainSettings, step: int) -> float:
    """A linear rise over `warmup_images`, a plateau, and a cosine fall to 0 over the last `cooldown` of the images."""
    seen = (step + 1) * settings.batch_size
    rise = min(1.0, seen / settings.warmup_images) if settings.warmup_images else 1.0
    cooling = settings.cooldown * settings.images
    if not cooling or seen <= settings.images - cooling:
        return settings.lr * rise
    progress = min(1.0, (step * settings.batch_size - (settings.images - cooling)) / cooling)
    return settings.lr * rise * 0.5 * (1 + math.cos(math.pi * max(0.0, progress)))


def hardware(device: torch.device) -> str:
    """What the run ran on, in words for the pack's card."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} thread(s)"


def _to_device(batch: Any, device: torch.device) -> Any:
    """A nest of tensors on the device; the fields of a dataclass as well, which accelerate would leave behind."""
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        moved = {f.name: _to_device(getattr(batch, f.name), device) for f in dataclasses.fields(batch)}
        return dataclasses.replace(batch, **moved)
    return send_to_device(batch, device)


def _seed(seed: int, step: int, rank: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{step}:{rank}".encode()).digest()[:7])


def _optimizer(model: nn.Module, settings: TrainSettings, rivals: dict[str, float]) -> torch.optim.Optimizer:
    """AdamW; biases, norms and other parameters of one dimension are not decayed. Rivals forget faster, for what they
    learn against changes (Radford et al. 2016)."""
    groups = []
    for rival in (None, *rivals):
        own = [p for name, p in model.named_parameters() if p.requires_grad and _rival_of(name, rivals) == rival]
        shared = {"steady": True, "lr": rivals[rival], "betas": (0.5, 0.99)} if rival else {"steady": False}
        groups += [
            {"params": [p for p in own if p.ndim > 1], "weight_decay": settings.weight_decay} | shared,
            {"params": [p for p in own if p.ndim <= 1], "weight_decay": 0.0} | shared,
        ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=settings.lr, fused=True)


def _rival_of(parameter: str, rivals: dict[str, float]) -> str | None:
    """The rival that a parameter of this name belongs to, if any."""
    return next((rival for rival in rivals if parameter.startswith(f"{rival}.")), None)


@torch.no_grad()
def _average_weights(ema: nn.Module, model: nn.Module, settings: TrainSettings, step: int) -> None:
    """Move the average towards the model. At first its half-life is a twentieth of the images seen so far."""
    half_life = min(settings.ema, 0.05 * step * settings.batch_size)
    kept = 0.5 ** (settings.batch_size / half_life) if half_life else 0.0
    trained = [(mean, p) for mean, p in zip(ema.parameters(), model.parameters(), strict=True) if p.requires_grad]
    torch._foreach_lerp_([mean for mean, _ in trained], [p for _, p in trained], 1 - kept)
    for average, buffer in zip(ema.buffers(), model.buffers(), strict=True):
        average.copy_(buffer)


@torch.no_grad()
def _share_weights(*modules: nn.Module) -> None:
    """Give every process the first one's weights, or each would start from its own."""
    for module in modules:
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.copy_(broadcast(tensor.detach().clone()))


@torch.no_grad()
def _average(parameters: list[nn.Parameter], accelerator: Accelerator, stop: bool) -> bool:
    """Average the gradients over the processes, in place; True when any process wants to stop."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [p.grad for p in parameters]
    flag = gradients[0].new_tensor([float(stop)])
    flat = accelerator.reduce(torch.cat([flag, *(g.flatten() for g in gradients)]), reduction="mean")
    for gradient, mean in zip(gradients, flat[1:].split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
    return bool(flat[0] > 0)


class _Steps(Dataset):
    """The batches as a map-style dataset of steps: no state, so that workers keep the run pure."""

    def __init__(self, job: Job, batch_size: int, first: int, end: int, rank: int, processes: int):
        self.job, self.batch_size, self.first, self.end = job, batch_size, first, end
        self.rank, self.processes = rank, processes

    def __len__(self) -> int:
        return self.end - self.first

    def __getitem__(self, index: int) -> tuple[int, list[Any]]:
        step, parts = self.first + index, self.job.parts
        first = (step * self.processes + self.rank) * parts
        return step, [self.job.batch(first + i, self.batch_size // self.processes // parts) for i in range(parts)]


def _batches(
    job: Job, settings: TrainSettings, first: int, end: int, rank: int, processes: int
) -> Iterator[tuple[int, list[Any]]]:
    if first >= end:
        return
    steps = _Steps(job, settings.batch_size, first, end, rank, processes)
    if not settings.workers:
        for index in range(len(steps)):
            yield steps[index]
        return
    yield from DataLoader(
        steps, batch_size=None, num_workers=settings.workers, prefetch_factor=4, multiprocessing_context="fork",
        worker_init_fn=_leave_signals_to_the_loop, pin_memory=torch.cuda.is_available(),
    )  # fmt: skip


def _leave_signals_to_the_loop(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """A list that the first SIGINT or SIGTERM fills; a second one acts as it did before."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {int(number): signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: Any) -> None:
        asked.append(number)
        signal.signal(number, before[number])

    for number in before:
        signal.signal(number, handle)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _postfix(loss: float, left: float) -> dict[str, str]:
    return {"loss": f"{loss:.4f}"} | ({"stops in": f"{left / 60:.1f} min"} if math.isfinite(left) else {})


def _log(path: Path, step: int, loss: float, seconds: float, settings: TrainSettings) -> None:
    line = {
        "images": step * settings.batch_size, "loss": round(loss, 6),
        "lr": learning_rate(settings, step - 1), "seconds": round(seconds, 1),
    }  # fmt: skip
    with open(path, "a") as log:
        log.write(json.dumps(line) + "\n")
        log.flush()
        os.fsync(log.fileno())
