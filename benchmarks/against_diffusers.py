"""How fast InstructEdit and InstructPix2Pix are beside diffusers' pipelines, on the same weights and picture.

    python benchmarks/against_diffusers.py                                    # the miniature pack
    python benchmarks/against_diffusers.py --toy --repeats 3 --fresh 0        # random weights, in seconds
    python benchmarks/against_diffusers.py --pack sd15 --dtype bf16 --json speed.json
    python benchmarks/against_diffusers.py --only "InstructPix2Pix, equal rows"

Four contests. "Equal rows" is the same work: the same steps, ratio, scales, picture and precision, and as many rows
through the U-Net, which are counted.

- InstructEdit, equal rows: mask and captions given. Ours: encode, DDIM inversion at guidance 1 up to the ratio, guided
  decoding inside the mask, decode. diffusers' retired StableDiffusionDiffEditPipeline: `invert` at guidance 1, then its
  call, with the same numbers. A second edit of the same picture by ours, whose inversion is kept, is timed too.
- InstructEdit, own defaults. Ours: the whole edit from the instruction, with the pack's defaults: planner, segmenter,
  inversion at guidance 1 (a row a step), guided decoding (two), the picture's own pixels put back. diffusers: both
  captions given; `generate_mask` (10 noises, four predictions each, and 10 pictures encoded), `invert` (guidance 7.5,
  two rows a step, 0.8 of 50 steps), its call (the same once more). Nothing but the purpose is the same.
- InstructPix2Pix, equal rows: both run three rows a step, Euler ancestral, in the order text, picture, neither.
- InstructPix2Pix, own defaults: ours with the pack's (20 steps where it names none), diffusers' 100.

Where the algorithms are one and the same, so must the pictures be: they are compared, and in fp32 a difference of more
than rounding ends the run. For InstructEdit this is done with the whole picture as the mask (see `contests`); how far
the timed pictures are apart is printed as well. diffusers' InstructPix2Pix drops all guidance below an image guidance
of 1, so that is refused here.

Warm times come from one process, in which both take turns, so that whatever else the computer does falls on both; the
ratio is taken turn by turn, with a 95 % bootstrap interval, by the clock and by the process's own CPU seconds, which
mean more on a busy machine and nothing beside an accelerator. Cold times (importing, loading, the first edit) and peak
memory come from a fresh process each.
"""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from time import perf_counter
from typing import Any

from PIL import Image
from turns import Apart, Took, apart, estimate, ratios, timed

SIDES = ("pentimento", "diffusers")
NAMES = (
    "InstructEdit, equal rows", "InstructEdit, own defaults",
    "InstructPix2Pix, equal rows", "InstructPix2Pix, own defaults",
)  # fmt: skip
ROUNDING = 2
"""The most levels of 255 that equal pictures may be apart in fp32."""


@dataclass(frozen=True)
class Cold:
    """A fresh process: seconds until it has the model open and until its first edit is done; peak memory in MB."""

    opened: float
    first_edit: float
    peak_memory: float


def main() -> None:
    options = parse()
    if options.cold:
        print(json.dumps(asdict(cold(options, options.cold))))
        return
    measured = measure(options)
    if options.json:
        options.json.write_text(json.dumps(measured, indent=2) + "\n")
    print(in_words(measured))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", default="miniature", help="name or folder of a pack")
    parser.add_argument("--toy", action="store_true", help="the tests' pack of random weights instead")
    parser.add_argument("--only", action="append", choices=NAMES, help="this contest; may be repeated")
    parser.add_argument("--repeats", type=int, default=9, help="turns; one more, before them, warms up")
    parser.add_argument("--fresh", type=int, default=2, help="rounds of fresh processes; the last one counts")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--ratio", type=float, default=0.5)
    parser.add_argument("--guidance", type=float, default=7.5)
    parser.add_argument(
        "--instruct-steps", type=int, default=28, help="of InstructPix2Pix; (T - 1) / (steps - 1) whole"
    )
    parser.add_argument("--image-guidance", type=float, default=1.5)
    parser.add_argument("--dtype", default="fp32", help="fp32, bf16, fp16 or auto")
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    parser.add_argument("--cold", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.image_guidance < 1:
        parser.error("diffusers drops all guidance below an image guidance of 1: nothing equal is left to compare")
    return options


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All measurements, JSON-able."""
    import torch

    chosen = [name for name in NAMES if name in (options.only or NAMES)]
    fresh = {name: [fresh_processes(name) for _ in range(options.fresh)] for name in chosen}
    pack = open_it(options)
    return {
        "pack": "toy" if options.toy else options.pack,
        "dtype": options.dtype,
        "settings": asdict(numbers(options)),
        "repeats": options.repeats,
        "threads": torch.get_num_threads(),
        "contests": {
            name: take_turns(name, prepared(name, options, pack), options) | {"cold": (fresh[name] or [None])[-1]}
            for name in chosen
        },
    }


def take_turns(name: str, contest: Any, options: argparse.Namespace) -> dict[str, Any]:
    """The sides' edits in turns, and whether they are the same edit. Ends the run when they should be and are not."""
    rows: dict[str, int] = {}
    spent: dict[str, list[Took]] = {side: [] for side in (*SIDES, "again")}
    pictures: dict[str, Image.Image] = {}
    passed: list[int] = []
    hook = contest.unet.register_forward_pre_hook(lambda unet, inputs: passed.append(len(inputs[0])))
    for turn in range(options.repeats + 1):
        for side in SIDES if turn % 2 == 0 else SIDES[::-1]:
            passed.clear()
            took, pictures[side] = timed(getattr(contest, side))
            rows[side] = sum(passed)
            spent[side].append(took)
            if side == "pentimento" and contest.again is not None:
                spent["again"].append(timed(contest.again)[0])
    hook.remove()
    if contest.equal_rows and len(set(rows.values())) > 1:
        raise SystemExit(f"{name}: not the same work, rows through the U-Net: {rows}")
    clock = {side: [took.clock for took in taken[1:]] for side, taken in spent.items()}
    cpu = {side: [took.cpu for took in taken[1:]] for side, taken in spent.items()}
    found: dict[str, Any] = {
        "rows": rows,
        "warm_seconds": {side: asdict(estimate(clock[side])) for side in SIDES},
        "diffusers_over_pentimento": asdict(estimate(ratios(clock["diffusers"], clock["pentimento"]))),
        "diffusers_over_pentimento_cpu": asdict(estimate(ratios(cpu["diffusers"], cpu["pentimento"]))),
        "timed_pictures_apart": asdict(apart(pictures["pentimento"], pictures["diffusers"])),
    }
    if contest.again is not None:
        found["second_edit_over_first"] = asdict(estimate(ratios(clock["again"], clock["pentimento"])))
    if contest.background_error is not None:
        found["background_error"] = {side: contest.background_error(pictures[side]) for side in SIDES}
    if contest.twins is not None:
        found["twins_apart"] = asdict(agree(name, *(edit() for edit in contest.twins), options.dtype))
    return found


def agree(name: str, ours: Image.Image, theirs: Image.Image, dtype: str) -> Apart:
    """How far two pictures are apart that should be equal; in fp32, more than rounding ends the run."""
    found = apart(ours, theirs)
    if dtype == "fp32" and found.most > ROUNDING:
        raise SystemExit(
            f"{name}: one algorithm, two pictures: {found.most} levels of 255 apart, {found.mean:.2f} on average, "
            f"where rounding explains {ROUNDING}; times of different work are not compared"
        )
    return found


def cold(options: argparse.Namespace, side: str) -> Cold:
    """What one side's edit costs from nothing; to be called in a fresh process."""
    began = perf_counter()
    contest = prepared(options.only[-1], options, open_it(options))
    opened = perf_counter() - began
    getattr(contest, side)()
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    return Cold(opened, perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def fresh_processes(name: str) -> dict[str, dict[str, float]]:
    """`cold` of each side in a process of its own, with this one's options."""
    found = {}
    for side in SIDES:
        command = [sys.executable, *sys.argv, "--only", name, "--cold", side]
        answer = subprocess.run(command, capture_output=True, text=True)
        if answer.returncode != 0:
            raise SystemExit(answer.stderr)
        found[side] = json.loads(answer.stdout.splitlines()[-1])
    return found


def open_it(options: argparse.Namespace) -> Any:
    """The pack; its models load when they are first asked for."""
    if options.toy:
        sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
        from toy import ToyPack

        return ToyPack()
    from pentimento.packs import open_pack

    return open_pack(options.pack, dtype=options.dtype)


def numbers(options: argparse.Namespace) -> Any:
    """The options that are settings of the edits."""
    from contests import Numbers

    return Numbers(**{field.name: getattr(options, field.name) for field in fields(Numbers)})


def prepared(name: str, options: argparse.Namespace, pack: Any) -> Any:
    """The contest of that name."""
    import contests

    made: dict[str, Callable[[], contests.Contest]] = {
        NAMES[0]: lambda: contests.instructedit_at_equal_rows(pack, options.toy, numbers(options)),
        NAMES[1]: lambda: contests.instructedit_at_defaults(pack, options.toy),
        NAMES[2]: lambda: contests.instructpix2pix_at_equal_rows(pack, options.toy, numbers(options)),
        NAMES[3]: lambda: contests.instructpix2pix_at_defaults(pack, options.toy),
    }
    return made[name]()


def in_words(measured: Mapping[str, Any]) -> str:
    """The measurements as Markdown, a table for each contest."""
    settings = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in measured["settings"].items())
    head = (
        f"Pack {measured['pack']}, {measured['dtype']}, {measured['threads']} threads, {measured['repeats']} turns. "
        f"At equal rows: {settings}. Medians with 95 % intervals."
    )
    return "\n".join([head, *(line for name, found in measured["contests"].items() for line in table(name, found))])


def table(name: str, found: Mapping[str, Any]) -> list[str]:
    def spread(values: Mapping[str, float], digits: int = 2) -> str:
        return f"{values['median']:.{digits}f} ({values['low']:.{digits}f} to {values['high']:.{digits}f})"

    def row(label: str, cell: Callable[[str], str]) -> str:
        return f"| {label} | {cell('pentimento')} | {cell('diffusers')} |"

    lines = [
        "", f"| {name} | pentimento | diffusers |", "| --- | --- | --- |",
        row("rows through the U-Net", lambda side: str(found["rows"][side])),
        row("warm, s", lambda side: spread(found["warm_seconds"][side], 3)),
    ]  # fmt: skip
    if "background_error" in found:
        lines.append(
            row("error outside the mask, levels of 255", lambda side: f"{found['background_error'][side]:.2f}")
        )
    if found["cold"]:
        cold = found["cold"]
        lines.append(row("cold: import, load and first edit, s", lambda side: f"{cold[side]['first_edit']:.2f}"))
        lines.append(row("peak memory of that process, MB", lambda side: f"{cold[side]['peak_memory']:.0f}"))
    by_clock, by_cpu = (spread(found["diffusers_over_pentimento" + kind]) for kind in ("", "_cpu"))
    lines += ["", f"diffusers takes {by_clock} times as long, and {by_cpu} times the CPU seconds."]
    if "second_edit_over_first" in found:
        lines.append(f"A second edit of the same picture takes {spread(found['second_edit_over_first'])} of the first.")
    for key, what in (("twins_apart", "same algorithm's"), ("timed_pictures_apart", "timed")):
        if key in found:
            most, mean = found[key]["most"], found[key]["mean"]
            lines.append(f"The {what} pictures are at most {most} levels of 255 apart, {mean:.3f} on average.")
    return lines


if __name__ == "__main__":
    main()
