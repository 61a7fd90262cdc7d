"""The command: words from the shell become values, the studio does the work, one line says what came of it.

Nothing heavy is imported outside the verb that needs it, so that help answers at once. Results go to stdout,
progress, notes and errors to stderr. Exit status: 0 done, 2 the request cannot be carried out, 3 nothing was found.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from inspect import signature
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

from . import __version__
from .errors import PackError, PentimentoError, PlanError, RequestError

app = typer.Typer(
    name="pentimento",
    help="Edit pictures by instruction. 'pentimento VERB --help' explains a verb.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
make = typer.Typer(
    help="Make pictures of the drawn world, sheets to look at them, TOP-Bench, or a data set of visual prompts.",
    no_args_is_help=True,
)
app.add_typer(make, name="make")

PackOption = Annotated[
    str, typer.Option("--pack", help="Name of a pack ('pentimento packs' lists them) or its folder.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, ...")]
DtypeOption = Annotated[str, typer.Option("--dtype", help="auto, fp32, bf16 or fp16.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any setting of the method; may be repeated.")
]
MegapixelsOption = Annotated[float, typer.Option("--max-megapixels", min=0, help="Refuse larger pictures.")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status; every error that we know is one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may be no text at all
    try:
        status = app(args=None if arguments is None else list(arguments), prog_name="pentimento", standalone_mode=False)
    except PentimentoError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        status = error.exit_status
    except OSError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        status = 2
    except typer.Abort:
        status = 130
    except typer.TyperException as error:
        print(f"error: {one_line(error.format_message())} ('pentimento --help' explains)", file=sys.stderr)
        status = error.exit_code
    sys.exit(status if isinstance(status, int) else 0)


def one_line(message: object) -> str:
    return " ".join(str(message).split())


@app.callback(invoke_without_command=True)
def about(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(__version__)


@dataclass(frozen=True)
class Job:
    """One picture to edit and where its results go, one path for each seed."""

    picture: Path
    outputs: tuple[Path, ...]


@app.command()
def edit(
    words: Annotated[
        list[str], typer.Argument(metavar="PICTURE... INSTRUCTION", help="Pictures or folders, then words.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .png file; a folder for several results.")],
    method: Annotated[
        str,
        typer.Option(
            help="The editor; instructedit, the one that learned, or instructgie for an example. "
            "'pentimento packs' lists them."
        ),
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same picture.")] = 0,
    n: Annotated[int, typer.Option("--n", min=1, max=1000, help="Variants, with seeds SEED, SEED + 1, ...")] = 1,
    mask: Annotated[Path | None, typer.Option(help="White where the edit may act; skips the segmenter.")] = None,
    find: Annotated[str, typer.Option(help="A phrase such as 'orange cat': the edit acts only where it is.")] = "",
    plan: Annotated[Path | None, typer.Option(help="A plan as 'plan --json' prints it; skips the planner.")] = None,
    learned: Annotated[
        Path | None, typer.Option(help="An instruction that 'pentimento learn' made; words may follow it.")
    ] = None,
    example: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="BEFORE AFTER", help="A pair that shows the edit; words may be left out then."),
    ] = None,
    strength: Annotated[float | None, typer.Option(help="Of a learned instruction: below 1 weaker.")] = None,
    description: Annotated[str, typer.Option(help="What the picture shows: 'photo of ...'.")] = "",
    steps: Annotated[int | None, typer.Option(help="Sampling steps.")] = None,
    ratio: Annotated[float | None, typer.Option(help="Encoding ratio in [0, 1]: more changes more.")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale: more follows the words more.")] = None,
    settings: SetOption = None,
    sheet: Annotated[Path | None, typer.Option(help="Also write before, plan, mask, after side by side.")] = None,
    pack: PackOption = "miniature",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    max_megapixels: MegapixelsOption = 64,
    as_json: JsonOption = False,
) -> None:
    """Edit pictures by an instruction such as "change the cat on the right to a tiger"."""
    from . import images, studio
    from .settings import assignments

    pictures, instruction = split_words(words, wordless=any(one is not None for one in (plan, learned, example)))
    jobs = place(gather(pictures), output, seed, n)
    outputs = [path for job in jobs for path in job.outputs] + ([sheet] if sheet else [])
    for path in outputs:
        images.check_writable(path)
    images.refuse_overwriting(outputs, [*(job.picture for job in jobs), *([mask] if mask else []), *(example or ())])
    if sheet and (len(jobs) > 1 or n > 1):
        raise RequestError("--sheet shows one result: leave it out, or edit one picture with --n 1")
    chosen = {
        name: value
        for name, value in (("steps", steps), ("ratio", ratio), ("guidance", guidance), ("strength", strength))
        if value is not None
    }
    plans = read_plans(plan) if plan else ()
    brush = studio.open_learned(learned) if learned else None
    shown = studio.open_example(*example) if example else None
    method = studio.method_for(brush, shown, method)
    if brush is not None:
        chosen = {**brush.learned.scales, **chosen}
    workshop = studio.open_studio(pack, device, dtype)
    editor = studio.make_editor(workshop, method, chosen | assignments(settings or ()))
    results, failed, statuses, same = [], [], [], []
    with progress() as watch:
        for job in jobs:
            try:
                picture = images.open_picture(job.picture, max_megapixels)
                given = images.open_mask(mask, picture.image.size) if mask else None
                if find:
                    given = studio.confined(workshop, picture, find, given)
                variants = studio.variants(
                    workshop, editor, method, picture, instruction,
                    seeds=range(seed, seed + n), mask=given, plans=plans, description=description, watch=watch,
                    learned=brush, example=shown,
                )  # fmt: skip
                looks = set()
                for path, edited in zip(job.outputs, variants, strict=True):
                    studio.save(edited, path)
                    looks.add(images.pixel_hash(edited.image))
                    results.append(summary(edited, path))
                    if not as_json:
                        print(said(results[-1]), flush=True)
                    if sheet:
                        images.save_picture(sheet, studio.sheet(edited))
                if n > 1 and len(looks) == 1:
                    same.append(job.picture)
            except PentimentoError as error:
                failed.append({"picture": str(job.picture), "error": one_line(error)})
                statuses.append(error.exit_status)
    if as_json:
        print(json.dumps({"results": results, "failed": failed}, ensure_ascii=False))
    for result in results:
        for note in result["notes"]:
            print(f"note: {result['picture']}: {note}", file=sys.stderr)
    for path in same:
        print(f"note: {path}: all {n} variants are the same: {method} draws no noise here", file=sys.stderr)
    for failure in failed:
        named = "" if failure["picture"] in failure["error"] else f"{failure['picture']}: "
        print(f"error: {named}{failure['error']}", file=sys.stderr)
    if len(jobs) > 1 and failed:
        print(f"{len(failed)} of {len(jobs)} pictures failed", file=sys.stderr)
    if failed:
        raise typer.Exit(min(statuses))


@app.command()
def learn(
    pairs: Annotated[
        Path, typer.Argument(metavar="PAIRS", help="A folder: {i}_0 and {i}_1, or the folders before and after.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .safetensors file to write.")],
    method: Annotated[str, typer.Option(help="instructbrush or visii.")] = "instructbrush",
    steps: Annotated[int | None, typer.Option(help="Steps of each part.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after so much time.")] = None,
    instruction: Annotated[str, typer.Option(help="Begin with these words instead of those that are found.")] = "",
    phrases: Annotated[Path | None, typer.Option(help="A list to choose the first words from, one a line.")] = None,
    hold_out: Annotated[bool, typer.Option(help="Keep the last pair, and score the effect on it.")] = False,
    preview: Annotated[
        Path | None, typer.Option(help="A picture to draw the effect on as it is learned, into NAME.learning/samples.")
    ] = None,
    settings: SetOption = None,
    max_megapixels: MegapixelsOption = 64,
    pack: PackOption = "miniature",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Learn an edit from before/after pairs; the same command goes on where it was broken off."""
    from . import studio
    from .images import open_picture
    from .language.phrases import read_phrases
    from .learning.pairs import read_pairs, without_last
    from .settings import assignments

    named = (("steps", steps), ("minutes", minutes), ("instruction", instruction or None))
    chosen = {name: value for name, value in named if value is not None} | assignments(settings or ())
    if others := sorted(chosen.keys() & set(signature(studio.learn).parameters)):
        raise RequestError(f"{others[0]} is no setting of a learning: it has an option of its own")
    given = read_pairs(pairs, max_megapixels)
    given, kept = without_last(given) if hold_out else (given, None)
    made = studio.learn(
        given, output, method=method, held_out=kept,
        vocabulary=read_phrases(phrases) if phrases else (),
        preview=open_picture(preview, max_megapixels) if preview else None, pack=pack, device=device, dtype=dtype,
        **chosen,
    )  # fmt: skip
    about = made.learned.about
    fields = {
        "output": made.path, "method": method, "instruction": made.learned.instruction, "pairs": about["pairs"],
        "parts": made.learned.parts, "tokens": made.learned.tokens, "held_out": about["held out"],
        "steps": about["steps done"], "finished": about["finished"],
    }  # fmt: skip
    if as_json:
        print(json.dumps(fields, ensure_ascii=False))
        return
    began = f"began with \u201c{made.learned.instruction}\u201d" if made.learned.instruction else "began with no words"
    scored = f", {about['held out'][-1]['psnr']:.1f} dB on the held-out pair" if about["held out"] else ""
    if about["finished"]:
        print(f"{output}: learned from {about['pairs']} pairs, {began}{scored}")
        return
    more = " when it is given more --minutes" if about["minutes"] else ""
    stopped = f"stopped after {about['steps done']} of {about['steps']} steps; the same command goes on{more}"
    print(f"{output}: {stopped} ({about['pairs']} pairs, {began}{scored})")


@app.command()
def plan(
    instruction: Annotated[str, typer.Argument(help='Words such as "make the cat a tiger and the bus red".')],
    image: Annotated[Path | None, typer.Option(help="A picture to describe first.")] = None,
    description: Annotated[str, typer.Option(help="What the picture shows: 'photo of ...'.")] = "",
    pack: PackOption = "miniature",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Show what an instruction is understood to ask for: what to find, and the captions before and after."""
    from . import images, studio

    if image and description:
        raise RequestError("give --image or --description, not both")
    picture = images.open_picture(image) if image else None
    plans = studio.plan(studio.open_studio(pack, device, dtype), instruction, picture, description)
    if as_json:
        fields = [one.model_dump(mode="json") for one in plans]
        print(json.dumps(fields[0] if len(fields) == 1 else {"plans": fields}, ensure_ascii=False))
    else:
        print("\n\n".join(studio.plan_in_words(one) for one in plans))


@app.command()
def mask(
    picture: Annotated[Path, typer.Argument()],
    phrases: Annotated[list[str], typer.Argument(metavar="PHRASE...", help='What to find, such as "orange cat".')],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .png file: white where the phrase was found.")],
    which: Annotated[
        list[str] | None, typer.Option(help="best, all, left, 'N from left', ...; may be repeated.")
    ] = None,
    pack: PackOption = "miniature",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    max_megapixels: MegapixelsOption = 64,
    as_json: JsonOption = False,
) -> None:
    """Find a phrase in a picture and save where it is as a black and white mask."""
    from . import images, studio

    images.check_writable(output)
    images.refuse_overwriting([output], [picture])
    opened = images.open_picture(picture, max_megapixels)
    found = studio.find(studio.open_studio(pack, device, dtype), opened, phrases, which or ["best"])
    images.save_picture(output, images.mask_picture(found.mask))
    boxes = [
        {"phrase": box.phrase, "score": box.score, "box": [box.left, box.top, box.right, box.bottom]}
        for box in found.boxes
    ]
    fields = {"picture": str(picture), "output": str(output), "area": float(found.mask.mean()), "boxes": boxes}
    if as_json:
        print(json.dumps(fields, ensure_ascii=False))
    else:
        scores = ", ".join(f"{box.phrase} ({box.score:.2f})" for box in found.boxes)
        print(f"{output}: {scores}, {found.mask.mean():.1%} of the picture")


@app.command()
def again(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="A PNG that 'pentimento edit' wrote.")],
    image: Annotated[Path | None, typer.Option(help="The input, when it no longer lies where it was.")] = None,
    learned: Annotated[Path | None, typer.Option(help="The learned instruction, when it lies elsewhere now.")] = None,
    example: Annotated[
        tuple[Path, Path] | None, typer.Option(metavar="BEFORE AFTER", help="The example, when it lies elsewhere now.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to save the repeated result.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Repeat an edit from the record inside its result, and say whether every pixel came out the same."""
    from . import images, studio

    if output:
        images.check_writable(output)
        record = studio.record_of(result)
        read = (result, image or record.input, learned or record.learned, *(example or record.example))
        images.refuse_overwriting([output], [path for path in read if path])
    with progress() as watch:
        edited, identical = studio.again(result, image, watch, learned, example)
    if output:
        studio.save(edited, output)
    fields = {"result": str(result), "output": str(output) if output else None, "identical": identical}
    for remark in studio.differences(edited.record, studio.record_of(result)):
        print(f"note: {remark}", file=sys.stderr)
    if as_json:
        print(json.dumps(fields))
    else:
        where = f"{output}: " if output else ""
        print(f"{where}{'identical to' if identical else 'differs from'} {result}")


@app.command()
def packs(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME | check NAME | mock NAME DIR]", help="Nothing for the list.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="ROLE", help="With check and mock: these roles alone.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the packs and the methods, describe a pack, check what of it is here, or write an imitation of it.

    \b
    packs                  the packs and the methods
    packs NAME             a pack's roles, and each method's settings
    packs check NAME       what is on this machine and what would be downloaded; status 2 when something is missing
    packs mock NAME DIR    the published architectures with random weights in DIR, to try the plumbing at full size
    """
    from . import studio

    if only and (words or [""])[0] not in ("check", "mock"):
        raise RequestError("--only goes with 'packs check NAME' and 'packs mock NAME DIR'")
    match words or []:
        case []:
            show({"packs": list(studio.catalogue()), "methods": list(studio.methods())}, as_json)
        case ["check", name]:
            check_pack(name, only or (), as_json)
        case ["mock", name, folder]:
            mock_pack(name, Path(folder), only or (), as_json)
        case [name]:
            show(studio.describe_pack(name), as_json)
        case _:
            raise RequestError("give nothing, NAME, check NAME, or mock NAME DIR")


def check_pack(name: str, only: Sequence[str], as_json: bool) -> None:
    """Print what is here and what is not.

    Raises:
        PackError: something is missing, after all has been printed.
    """
    from .packs import check, find_pack, read_manifest

    entry = find_pack(name)
    report = check(entry.folder, read_manifest(entry.manifest), only)
    if as_json:
        fields = [asdict(one) | {"pinned": one.pinned, "fetch": one.fetch} for one in report.sources]
        print(json.dumps({"pack": name, "sources": fields, "hub": report.hub}))
    for source in () if as_json else report.sources:
        state = f"missing, {size(source.download)} to download" if source.missing else f"here, {size(source.size)}"
        print(f"{source.name} ({', '.join(source.roles)}): {state}")
        if not source.pinned:
            print(f"  not pinned: {source.revision!r} is a branch, which may change")
        if source.unknown:
            print(f"  the hub does not have {', '.join(source.unknown)} at this revision")
        if source.fetch:
            print(f"  {source.fetch}")
    if report.hub and not as_json:
        print(f"hub: {report.hub}")
    if report.missing:
        total = size(sum(source.download for source in report.missing))
        raise PackError(
            f"{len(report.missing)} of {len(report.sources)} sources of the pack {name!r} are not on this machine, "
            f"about {total}: 'pentimento packs check {name}' prints the commands that fetch them"
        )


def mock_pack(name: str, folder: Path, only: Sequence[str], as_json: bool) -> None:
    """Say how large the roles are, then write them."""
    from .packs import mock

    parts = {role: sum(part.size for part in components) for role, components in mock.plan(name, only).items()}
    for role, bytes_ in parts.items():
        print(f"{role}: {size(bytes_)}", file=sys.stderr)
    with progress() as watch:
        made = mock.write(name, folder, only, watch)
    if as_json:
        print(json.dumps({"pack": made.name, "folder": str(folder), "roles": parts}))
    else:
        print(f"{folder}: {len(parts)} roles with random weights, {size(sum(parts.values()))}")


def size(count: int) -> str:
    """Bytes in words; what nobody knows is said so."""
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB" if count else "of unknown size"


def show(fields: Mapping[str, Any], as_json: bool) -> None:
    print(json.dumps(fields, ensure_ascii=False) if as_json else "\n".join(outline(fields)))


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="What to train: autoencoder, clip, text_to_image, ...")],
    run_dir: Annotated[Path | None, typer.Option(help="Log, samples and checkpoint; default runs/RECIPE.")] = None,
    pack_dir: Annotated[Path | None, typer.Option(help="The pack to write to; default runs/miniature.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop after so many minutes, to go on later.")] = None,
    preset: Annotated[str, typer.Option(help="Settings to begin with: paper, for instructgie.")] = "",
    settings: SetOption = None,
) -> None:
    """Train one model of a pack; the same command goes on where a run was broken off."""
    from . import recipes
    from .settings import assignments

    recipes.run(recipe, assignments(settings or ()), run_dir, pack_dir, minutes, preset)


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="The table to measure.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for tables and sheets.")] = Path(
        "out/bench"
    ),
    n: Annotated[int | None, typer.Option("--n", min=1, help="Scenes to measure on; default: the table's own.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    cases: Annotated[
        Path | None,
        typer.Option(
            help="Instead of scenes: pictures with instructions.jsonl, PIE-Bench or MagicBrush; for instructbrush "
            "TOP-Bench's folders; for instructgie a set of visual prompts."
        ),
    ] = None,
    ablations: Annotated[
        Path | None,
        typer.Option(help="For instructgie-table2: without-rcldm, -esm, -liu, -sam, a control each."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this row (of a paper's table) or method (tune); may be repeated."),
    ] = None,
    pack: PackOption = "miniature",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Measure a table of the papers, or one of our own, on a pack.

    \b
    instructedit, instructedit-table1                     InstructEdit
    instructbrush-table1, -table2, -table4                InstructBrush
    instructgie-table1, -table2                           InstructGIE
    erf                                                   what an encoder sees of a picture (InstructGIE Fig. 3)
    pack, judge                                           every model by itself
    tune, card                                            choose the pack's defaults; its card's figures

    A table that was broken off goes on by the same command. docs/protocol.md says what is measured.
    """
    from . import bench as tables
    from . import studio

    workshop = studio.open_studio(pack, device, dtype)
    with progress() as watch:
        report = tables.run(
            name,
            pack=workshop.pack,
            output=output,
            n=n,
            seed=seed,
            watch=watch,
            cases=cases,
            ablations=ablations,
            only=only or (),
        )
    print(json.dumps(report, ensure_ascii=False) if as_json else "\n".join(outline(report)))


@app.command("studio")
def open_page(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder that results, uploads and what is learned are kept in.")
    ] = Path("studio"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of 127.0.0.1; 0 takes a free one.")] = 7860,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    pack: PackOption = "miniature",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
) -> None:
    """Open the studio: a page of this machine that edits, compares, learns and repeats.

    Plan and mask can be corrected there before the edit. Scripts may call what its buttons do: the page says how.
    """
    from . import images, studio, web

    web.check_installed()
    opened = studio.open_studio(pack, device, dtype)
    folder = images.make_folder(output).resolve()
    from .web.serving import listen, serve
    from .web.studio import make_app
    from .web.workbench import Workbench

    listening = listen(port)
    serve(
        make_app(Workbench(opened, folder)), listening,
        lambda address: print(f"{address} edits with {opened.pack.name}; Ctrl-C ends it", flush=True), open_browser,
    )  # fmt: skip


@app.command()
def study(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The study's folder.")],
    report: Annotated[bool, typer.Option("--report", help="Print what the votes say, and serve nothing.")] = False,
    ours: Annotated[str, typer.Option(metavar="METHOD", help="Only this method against each other one.")] = "",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of 127.0.0.1; 0 takes a free one.")] = 8765,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --report: print one JSON object.")] = False,
) -> None:
    """Ask people which of two results they prefer, on a page of this machine, or report what they said.

    \b
    DIR/input/NAME.png       the pictures before the edit
    DIR/METHOD/NAME.png      the result of every method for every picture; at least two methods
    DIR/instructions.jsonl   a line {"picture": "NAME.png", "instruction": "..."} for every picture
    DIR/votes.jsonl          the votes, written as they come; for a new study take it away

    Every voter sees the triplets in an order of their own, sides at random, no method named. When somebody votes
    twice about a triplet, the last vote counts. Shares in the report are of the votes that decided, with Wilson's
    95 % intervals; "the same" is counted apart.
    """
    from .bench import study as votes

    if as_json and not report:
        raise RequestError("--json goes with --report")
    if report:
        found = votes.report(folder, ours)
        print(json.dumps(found, ensure_ascii=False) if as_json else votes.table(found))
        return
    asked = votes.read_study(folder, ours)
    from . import web

    web.check_installed()
    from .web.serving import listen, serve
    from .web.study import make_app

    def announce(address: str) -> None:
        print(f"{address} asks about {len(asked.triplets)} triplets; Ctrl-C ends it", flush=True)

    serve(make_app(asked), listen(port), announce, open_browser)
    print(f"{asked.votes}: {len(votes.standing(votes.read_votes(asked.votes)))} votes")


@make.command("scenes")
def make_scenes(
    folder: Annotated[Path, typer.Argument(help="Where to write; made when it is not there.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "train",
) -> None:
    """Write scenes of the drawn world as an imagefolder with metadata.jsonl."""
    from .data.export import write_scenes

    write_scenes(folder, n, seed, split)
    print(f"{folder}: {n} scenes")


@make.command("topbench")
def make_topbench(
    folder: Annotated[Path, typer.Argument(help="Where to write; made when it is not there.")],
) -> None:
    """Draw TOP-Bench in miniature: 25 effects with ten pairs to learn from and five to be tested on."""
    from .data.effects import EFFECTS, write_topbench

    write_topbench(folder)
    print(f"{folder}: {len(EFFECTS)} effects")


@make.command("sheet")
def make_sheet(
    output: Annotated[Path, typer.Argument(help="The .png file to write.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many scenes on it.")] = 64,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "train",
    what: Annotated[str, typer.Option(help="scenes, edits, actions, portraits, parts, thirty or effects.")] = "scenes",
) -> None:
    """Draw a contact sheet of the drawn world, to look at it."""
    from . import images
    from .data.sheets import contact_sheet

    images.check_writable(output)
    contact_sheet(output, n, seed, split, what)
    print(f"{output}: {n} {what}")


@make.command("visual-prompts")
def make_visual_prompts(
    folder: Annotated[Path, typer.Argument(help="Where to write; made when it is not there.")],
    n: Annotated[int | None, typer.Option("--n", min=1, help="Groups; default 100, or all that are given.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same set.")] = 0,
    drawn: Annotated[bool, typer.Option("--drawn", help="Draw exact pairs; no model paints.")] = False,
    groups: Annotated[Path | None, typer.Option(help="Groups in words, one JSON object a line, to be painted.")] = None,
    split: Annotated[str, typer.Option(help="Of the drawn world: train, validation or test.")] = "train",
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes, each with its own copy of the pack.")] = 1,
    shards: Annotated[bool, typer.Option("--shards", help="Also pack the grids into tar files.")] = False,
    settings: SetOption = None,
    pack: PackOption = "miniature",
    device: DeviceOption = "auto",
    dtype: DtypeOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Make a data set of visual prompts: 2x2 grids of two pairs of one instruction, as InstructGIE trains on.

    \b
    DIR/grids/in_domain/{train,test}, DIR/grids/out_of_domain/test    grids, with metadata.jsonl
    DIR/pairs                                                         the pairs that they are put together from

    A group is one instruction and five pairs of captions, which the pack's language model writes or the drawn world's
    words compose; Prompt-to-Prompt paints every pair many times, and CLIP chooses. The same command goes on where it
    was broken off. 'accelerate launch -m pentimento make visual-prompts ...' spreads it over processes.
    """
    from .data import grid_folders, grouped, making, visual_prompts
    from .settings import assignments, build

    chosen = assignments(settings or ())
    if drawn:
        if groups:
            raise RequestError("--groups are painted: leave out --drawn")
        layout = build(visual_prompts.Layout, "visual-prompts --drawn", chosen)
        order = grouped.drawn(n or 100, seed, layout, split)
    else:
        order = painted_order(n, seed, groups, split, chosen, pack, device, dtype)
    with progress() as watch:
        made = making.make(folder, order, workers, watch)
    if made is None:  # launched beside the process that answers
        return
    packed = grid_folders.write_shards(folder) if shards else 0
    for group in made["dropped"]:
        print(f"note: group {group['group']} ({group['instruction']!r}) dropped: {group['why']}", file=sys.stderr)
    if as_json:
        print(json.dumps({"folder": str(folder), "shards": packed, **made}, ensure_ascii=False))
    else:
        grids = "".join(f", {count} grids in {name}" for name, count in made["grids"].items())
        packed_too = f", {packed} shards" if packed else ""
        print(f"{folder}: {made['pairs']} pairs of {made['kept']} of {made['groups']} groups{grids}{packed_too}")


def painted_order(
    n: int | None, seed: int, groups: Path | None, split: str, chosen: Mapping[str, Any], pack: str, device: str,
    dtype: str,
) -> Any:  # fmt: skip
    """What `make visual-prompts` asks a pack to paint, with the pack's own defaults."""
    from functools import partial

    from .data import painting
    from .language.groups import read_groups
    from .packs import open_pack
    from .settings import build

    given = read_groups(groups) if groups else ()
    opened = open_pack(pack, device, dtype)
    defaults = opened.defaults.get("visual_prompts", {})
    settings = build(painting.Painting, "visual-prompts", {**defaults, **chosen})
    again = partial(open_pack, pack, dtype=dtype)
    return painting.painted(opened, again, n or len(given) or 100, seed, settings, device, split, given)


def split_words(words: Sequence[str], wordless: bool) -> tuple[list[Path], str]:
    """The pictures and the instruction, which is the last word; where it is `wordless`, that may be left out.

    Raises:
        RequestError: a picture or the instruction is missing.
    """
    from .images import SUFFIXES

    last = words[-1]
    if wordless and (len(words) == 1 or os.path.exists(last) or last.lower().endswith(SUFFIXES)):
        return [Path(word) for word in words], ""
    if len(words) < 2:
        raise RequestError(
            'give at least one picture and then the instruction: pentimento edit in.png "..." -o out.png'
        )
    if os.path.isfile(last):
        raise RequestError(f"{last}: is a file where the instruction was expected; put words in quotes at the end")
    return [Path(word) for word in words[:-1]], last


def gather(paths: Sequence[Path]) -> list[Path]:
    """The pictures that are named, and those in the folders that are named, in the order of their names.

    Raises:
        RequestError: a folder without pictures.
    """
    from .images import SUFFIXES, pictures_in

    pictures = []
    for path in paths:
        inside = pictures_in(path) if os.path.isdir(path) else [path]
        if not inside:
            raise RequestError(f"{path}: this folder holds no pictures ({', '.join(SUFFIXES)})")
        pictures += inside
    return pictures


def place(pictures: Sequence[Path], output: Path, seed: int, n: int) -> tuple[Job, ...]:
    """Where each result goes: to `output` itself when there is one result and it is no folder, else into it.

    Raises:
        RequestError: several results for one file.
    """
    from .images import make_folder

    several = len(pictures) * n > 1
    if several and (output.is_file() or output.suffix.lower() == ".png"):
        raise RequestError(f"{output}: {len(pictures) * n} results need a folder: name one, such as -o results")
    if not several and not output.is_dir() and output.suffix:
        return (Job(pictures[0], (output,)),)
    folder = make_folder(output)
    stems = [picture.stem for picture in pictures]
    names = [picture.name.replace(".", "-") if stems.count(picture.stem) > 1 else picture.stem for picture in pictures]
    names = [name if names.count(name) == 1 else f"{name}-{i}" for i, name in enumerate(names, start=1)]
    return tuple(
        Job(picture, tuple(folder / (f"{name}-{seed + i}.png" if n > 1 else f"{name}.png") for i in range(n)))
        for picture, name in zip(pictures, names, strict=True)
    )


def read_plans(path: Path) -> tuple[Any, ...]:
    """The plans in a JSON file: one plan, a list of plans, or {"plans": [...]}.

    Raises:
        PlanError: no readable JSON, or a field is missing, unknown or wrong.
    """
    from pydantic import TypeAdapter, ValidationError

    from .settings import friendly
    from .values import Plan

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlanError(f"{path}: cannot be read ({error.strerror})") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PlanError(f"{path}: is no JSON ({error}); 'pentimento plan ... --json' prints a plan") from None
    if isinstance(content, dict):
        content = content.get("plans", [content])
    if content == []:
        raise PlanError(f"{path}: holds no plan")
    try:
        return TypeAdapter(tuple[Plan, ...]).validate_python(content)
    except ValidationError as error:
        raise PlanError(f"{path}: {friendly(error)}; 'pentimento plan ... --json' prints a whole plan") from None


def summary(edited: Any, path: Path) -> dict[str, Any]:
    """One result as JSON."""
    record = edited.record
    return {
        "picture": record.input,
        "output": str(path),
        "method": record.method,
        "seed": record.seed,
        "plans": [plan.model_dump(mode="json") for plan in record.plans],
        "mask_area": None if edited.mask is None else float(edited.mask.mean()),
        "seconds": record.seconds["edit"],
        "notes": list(edited.picture.notes),
    }


def said(result: dict[str, Any]) -> str:
    """One result as a line."""
    changes = "; ".join(f"{plan['before']} -> {plan['after']}" for plan in result["plans"])
    area = "" if result["mask_area"] is None else f", mask {result['mask_area']:.1%} of the picture"
    return f"{result['output']}: {changes or result['method']}{area}, seed {result['seed']}, {result['seconds']:.1f} s"


def outline(fields: Any, indent: str = "") -> Iterator[str]:
    """Nested JSON as indented lines."""
    for name, value in fields.items():
        if isinstance(value, dict):
            yield f"{indent}{name}"
            yield from outline(value, indent + "  ")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            yield f"{indent}{name}: {text}"


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr, silent where stderr is no terminal; yields what editors call after every step."""
    from tqdm import tqdm

    with tqdm(
        total=1, file=sys.stderr, disable=None, leave=False, bar_format="{desc}: {percentage:3.0f}% |{bar}|"
    ) as bar:

        def watch(doing: str, done: int, total: int) -> None:
            bar.set_description_str(doing, refresh=False)
            bar.total, bar.n = total, done
            bar.refresh()

        yield watch
