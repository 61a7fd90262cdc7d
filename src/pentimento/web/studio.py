"""The studio's page, laid out: say what to change, correct what was understood and found, look, compare, learn, repeat.

What its buttons do is a Workbench's; one of them works at a time, so that no model is loaded twice. The library's own
canvas to paint masks on needs WebGL and stops the whole page where there is none: masks are clicked together instead.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from fastapi import FastAPI
from PIL import Image

from .. import images, studio
from ..editors import EDITORS
from ..errors import PentimentoError
from .serving import keep_to_itself
from .workbench import (
    PLAN_COLUMNS,
    SETTING_COLUMNS,
    Asked,
    Rows,
    Workbench,
    example_of,
    masked,
    rows_of_plans,
)

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "media-src 'self' data: blob:; worker-src 'self' blob:; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's library writes scripts and styles into it, and would load fonts from elsewhere."""
ALONE: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "models"}
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
SHOWN: dict[str, Any] = {"interactive": False, "buttons": ["download", "fullscreen"]}  # the library would share, too
PROGRESS = gr.Progress()
LEARNING = gr.Progress(track_tqdm=True)
WHOLE, BRUSH = "the whole thing", "a brush"
ADD, TAKE = "to the mask", "away"


def make_app(desk: Workbench) -> FastAPI:
    """The application that serves the page. What is uploaded is kept beside the results, which can be repeated so."""
    os.environ["GRADIO_TEMP_DIR"] = str(desk.folder / "uploads")
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    keep_to_itself(app, POLICY)
    fonts: Any = {"font": ["ui-sans-serif", "system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    return gr.mount_gradio_app(
        app, make_page(desk), "/", allowed_paths=[str(desk.folder)], theme=gr.themes.Default(**fonts),
        ssr_mode=False, footer_links=["api"], pwa=False, mcp_server=False,
    )  # fmt: skip


def make_page(desk: Workbench) -> gr.Blocks:
    """The page of a workbench."""
    pack = desk.opened.pack
    with gr.Blocks(title="Pentimento", analytics_enabled=False, fill_width=True) as page:
        gr.Markdown(
            f"# Pentimento\nPack **{pack.name}** ({pack.hash[:12]}) on {desk.opened.device}, {desk.opened.dtype}. "
            f"Everything made here is kept in `{desk.folder}`, with the record of how it was made inside each result."
        )
        with gr.Tab("Edit"):
            learned = edit_tab(desk)
        with gr.Tab("Learn"):
            learn_tab(desk, learned)
        with gr.Tab("Repeat"):
            repeat_tab(desk)
    return page


def edit_tab(desk: Workbench) -> gr.File:
    """The fields of an edit and what comes of it. Returns the field of the learned instruction."""
    mask, found, drawings = gr.State(), gr.State(False), gr.State(0)
    with gr.Row():
        with gr.Column():
            picture = gr.Image(
                label="Picture", type="filepath", image_mode=None, height=320, sources=["upload", "clipboard"]
            )
            draw = gr.Button("Draw a scene to try", size="sm")
            instruction = gr.Textbox("", label="Instruction", placeholder="change the cat to a tiger", max_lines=3)
            with gr.Row():
                edit = gr.Button("Edit", variant="primary", min_width=80)
                plan = gr.Button("Plan", min_width=80)
                find = gr.Button("Find", min_width=80)
                stop = gr.Button("Stop", variant="stop", min_width=80)
            with gr.Accordion("Plan: what was understood, to be corrected", open=False):
                plans = gr.Dataframe(
                    headers=PLAN_COLUMNS, column_count=len(PLAN_COLUMNS), type="array", interactive=True,
                    show_label=False,
                )  # fmt: skip
            with gr.Accordion("Mask: click where the edit may act, or leave that to the plan", open=False):
                phrase = gr.Textbox("", label="Only where this is", placeholder="orange cat")
                canvas = gr.Image(show_label=False, type="filepath", format="png", height=320, **SHOWN)
                with gr.Row():
                    takes = gr.Radio([WHOLE, BRUSH], value=WHOLE, label="A click takes")
                    puts = gr.Radio([ADD, TAKE], value=ADD, label="and puts it")
                size = gr.Slider(0.02, 0.5, value=0.1, label="Width of the brush, of the picture's shorter side")
                with gr.Row():
                    own = gr.UploadButton("Mask from a file", file_types=["image"])
                    clear = gr.Button("No mask")
            with gr.Accordion("Learned instruction, or an example that shows the edit", open=False):
                learned = gr.File(label="Learned instruction", file_types=[".safetensors"])
                with gr.Row():
                    before = gr.Image(label="Example, before", type="filepath", image_mode=None, height=160)
                    after = gr.Image(label="Example, after", type="filepath", image_mode=None, height=160)
            with gr.Accordion("Method and settings", open=False):
                method = gr.Dropdown(list(EDITORS), value="instructedit", label="Method")
                with gr.Row():
                    seed = gr.Number(0, label="Seed", precision=0, minimum=0)
                    n = gr.Number(1, label="Variants", precision=0, minimum=1, maximum=64)
                settings = gr.Dataframe(
                    desk.settings("instructedit"), headers=SETTING_COLUMNS, column_count=len(SETTING_COLUMNS),
                    static_columns=[0, 2, 3], type="array", interactive=True, wrap=True, show_label=False,
                )  # fmt: skip
            with gr.Accordion("Compare methods on the same words", open=False):
                wordy = [name for name, editor in EDITORS.items() if "instruction" in editor.needs]
                methods = gr.CheckboxGroup(wordy, value=["instructedit", "instructpix2pix"], show_label=False)
                compare = gr.Button("Compare")
        with gr.Column():
            slider = gr.ImageSlider(label="Before and after", format="png", interactive=False)
            results = gr.Gallery(label="Results", format="png", columns=3, height=280, fit_columns=False, **SHOWN)
            acted = gr.Image(label="Where it acted", format="png", height=240, **SHOWN)
            record = gr.JSON(label="Record", open=False)

    def on_edit(*values: Any, progress: gr.Progress = PROGRESS) -> Iterator[tuple[Any, ...]]:
        shown: list[tuple[str, str]] = []
        with refusals():
            for path, edited in desk.edit(asked_of(*values), told(progress)):
                shown.append((str(path), f"seed {edited.record.seed}"))
                pair = edited.picture.image, edited.image
                yield pair, shown, acted_on(edited), rows_of_plans(edited.record.plans), recorded(edited)

    def on_compare(*values: Any, progress: gr.Progress = PROGRESS) -> Iterator[list[tuple[str, str]]]:
        *given, chosen = values
        shown: list[tuple[str, str]] = []
        with refusals():
            for name, came in desk.compare(asked_of(*given), chosen, told(progress)):
                if isinstance(came, PentimentoError):
                    gr.Warning(f"{name}: {came}")
                else:
                    shown.append((str(came), name))
                yield shown

    def on_plan(picture: str | None, instruction: str | None) -> Rows:
        with refusals():
            return desk.plan(picture, instruction or "")

    def on_find(picture: str | None, instruction: str | None, plans: Rows, phrase: str | None) -> tuple[Any, ...]:
        with refusals():
            mask, rows = desk.find(picture, instruction or "", plans, phrase or "")
            return mask, masked(picture, mask), rows, True

    def on_click(
        picture: str | None, mask: Any, takes: str, puts: str, size: float, where: gr.SelectData
    ) -> tuple[Any, ...]:
        with refusals():
            at = int(where.index[0]), int(where.index[1])
            mask = desk.touch(picture, mask, at, takes == WHOLE, puts == ADD, size)
            return mask, masked(picture, mask)

    def on_own(picture: str | None, file: str) -> tuple[Any, ...]:
        with refusals():
            mask = desk.mask(picture, file)
            return mask, masked(picture, mask), False

    def on_clear(picture: str | None) -> tuple[Any, ...]:
        with refusals():
            return None, masked(picture, None), False

    def on_new_picture(picture: str | None) -> tuple[Any, ...]:
        return [], *on_clear(picture)

    def on_new_words(picture: str | None, mask: Any, found: bool) -> tuple[Any, ...]:
        """A plan is of its words, and so is a mask that was found; one that was clicked together stays."""
        mask = None if found else mask
        return [], mask, masked(picture, mask), False

    def on_given(learned: str | None, before: str | None, after: str | None) -> tuple[str, Rows]:
        """What is given says which method takes it."""
        with refusals():
            opened = studio.open_learned(learned) if learned else None
            method = studio.method_for(opened, example_of((before, after)) if before and after else None)
        return method, desk.settings(method)

    fields = [picture, instruction, method, plans, mask, phrase, learned, before, after, settings, seed, n]
    gr.on(
        [edit.click, instruction.submit], on_edit, fields, [slider, results, acted, plans, record], api_name="edit",
        show_progress_on=slider, **ALONE,
    )  # fmt: skip
    compare.click(on_compare, [*fields, methods], results, api_name="compare", **ALONE)
    plan.click(on_plan, [picture, instruction], plans, api_name="plan", **ALONE)
    find.click(on_find, [picture, instruction, plans, phrase], [mask, canvas, plans, found], api_name="find", **ALONE)
    stop.click(desk.stop.set, queue=False, **PRIVATE)
    draw.click(lambda k: (desk.draw(k), k + 1), drawings, [picture, drawings], **PRIVATE)
    canvas.select(on_click, [picture, mask, takes, puts, size], [mask, canvas], **PRIVATE, **ALONE)
    own.upload(on_own, [picture, own], [mask, canvas, found], **PRIVATE)
    clear.click(on_clear, picture, [mask, canvas, found], **PRIVATE)
    picture.change(on_new_picture, picture, [plans, mask, canvas, found], **PRIVATE)
    instruction.input(on_new_words, [picture, mask, found], [plans, mask, canvas, found], **PRIVATE)
    method.input(desk.settings, method, settings, **PRIVATE)
    gr.on(
        [learned.change, before.change, after.change], on_given, [learned, before, after], [method, settings], **PRIVATE
    )
    return learned


def learn_tab(desk: Workbench, learned: gr.File) -> None:
    """The fields of a learning; what was learned goes to `learned`, too."""
    gr.Markdown(
        "Pictures before and after an edit, called `1_0.png` and `1_1.png`, `2_0.png` and `2_1.png`, and so on. "
        "The same name and pairs go on where a learning was broken off."
    )
    pairs = gr.File(label="Pairs", file_count="multiple", file_types=["image"])
    with gr.Row():
        name = gr.Textbox("", label="Name", placeholder="snow")
        words = gr.Textbox("", label="Begin with these words")
        how = gr.Radio(["instructbrush", "visii"], value="instructbrush", label="Method")
        minutes = gr.Number(5, label="Minutes at most", minimum=0.1)
        hold_out = gr.Checkbox(label="Keep the last pair, and score on it")
    learn = gr.Button("Learn", variant="primary")
    said = gr.Markdown()
    file = gr.File(label="What was learned: it now stands in Edit, too", interactive=False)

    def on_learn(
        files: list[str] | None, name: str | None, how: str, words: str | None, minutes: float, hold_out: bool,
        progress: gr.Progress = LEARNING,
    ) -> tuple[str, str, str]:  # fmt: skip
        with refusals():
            made = desk.learn(files or (), name or "", how, words or "", minutes, hold_out)
        about = made.learned.about
        scored = f", {about['held out'][-1]['psnr']:.1f} dB on the pair kept out" if about["held out"] else ""
        state = "finished" if about["finished"] else "stopped by time; Learn goes on"
        steps = f"{about['steps done']} of {about['steps']} steps from {about['pairs']} pairs"
        return f"{steps}{scored}: {state}.", made.path, made.path

    learn.click(
        on_learn, [pairs, name, how, words, minutes, hold_out], [said, file, learned], api_name="learn", **ALONE
    )


def repeat_tab(desk: Workbench) -> None:
    """A result, and the same edit done once more."""
    gr.Markdown("A result holds the record of how it was made: the same edit, bit for bit, on this machine.")
    result = gr.File(label="Result", file_types=[".png"])
    repeat = gr.Button("Repeat", variant="primary")
    verdict = gr.Markdown()
    repeated = gr.Image(label="Repeated", format="png", height=420, **SHOWN)
    record = gr.JSON(label="Record", open=False)

    def on_again(result: str | None, progress: gr.Progress = PROGRESS) -> tuple[str, Any, Any]:
        with refusals():
            path, edited, same = desk.again(result, told(progress))
        seen = "Every pixel is the same." if same else "**Some pixels differ.**"
        return f"{seen} Kept as `{path}`.", edited.image, recorded(edited)

    repeat.click(on_again, result, [verdict, repeated, record], api_name="again", **ALONE)


def asked_of(
    picture: str | None, instruction: str | None, method: str, plans: Rows, mask: Any, phrase: str | None,
    learned: str | None, before: str | None, after: str | None, settings: Rows, seed: float | None, n: float | None,
) -> Asked:  # fmt: skip
    """The page's fields as what they ask for."""
    return Asked(
        picture, instruction or "", method, plans, mask, phrase or "", learned, (before, after), settings,
        int(seed or 0), int(n or 1),
    )  # fmt: skip


def recorded(edited: studio.Edited) -> dict[str, Any]:
    return edited.record.model_dump(mode="json")


def acted_on(edited: studio.Edited) -> Image.Image | None:
    return None if edited.mask is None else images.tinted(edited.picture.image, edited.mask)


def told(progress: gr.Progress) -> studio.Watch:
    """What an editor calls after every step, as the page's bar."""

    def watch(doing: str, done: int, total: int) -> None:
        progress((done, total), desc=doing)

    return watch


@contextmanager
def refusals() -> Iterator[None]:
    """Every error that we know is one line on the page."""
    try:
        yield
    except (PentimentoError, OSError) as error:
        raise gr.Error(" ".join(str(error).split()), duration=None, print_exception=False) from None
