"""The paper's language processor: a large language model with an in-context prompt (InstructEdit Sec. 3.2, App. C.1).

Any OpenAI-compatible endpoint (`connect`) or a local transformers causal model (`load_local`). The prompt is ours: a
context description and three task examples (replace, add, remove). The instruction goes in as quoted data and the
answer is data too: it can fill the fields of a plan and nothing else. Where the authors' code cuts replies at 40
tokens and reads them with regexes, we ask for JSON by schema, check it, ask again with the error, then give up.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ..errors import PackError, PlanError
from ..values import Choice, Kind, Plan
from .captions import NEEDS_FIND

Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=r"^[^\n{}<>]*$")]
Caption = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400, pattern=r"^[^\n{}<>]*$")
]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


class ChatSettings(BaseModel):
    """How the language model is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str = Field("gpt-4.1-mini", description="the model's name at the endpoint")
    base_url: str = Field("", description="an OpenAI-compatible endpoint; empty reads OPENAI_BASE_URL")
    temperature: float = Field(0.0, ge=0, le=2, description="of the answers; the authors' code has 0.6")
    max_tokens: int = Field(600, ge=40, le=8192, description="longest answer")
    retries: int = Field(2, ge=0, le=10, description="further attempts after an unusable answer")
    timeout: float = Field(60.0, gt=0, description="seconds for one answer")


class ChatEdit(BaseModel):
    """One edit as the model must give it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    find: tuple[Phrase, ...] = Field(max_length=8, description="what to segment; empty for the whole picture")
    which: Choice | tuple[Choice, ...] = "best"
    before: Caption
    after: Caption
    kind: Kind


class ChatAnswer(BaseModel):
    """The model's whole answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    edits: tuple[ChatEdit, ...] = Field(max_length=6, description="no entry when no change of a picture is asked for")


class Complete(Protocol):
    """A conversation's next answer, as text. An endpoint is held to the schema of `answer`; other models are only told
    of it in the conversation."""

    def __call__(self, talk: Sequence[Message], answer: type[BaseModel] = ChatAnswer) -> str: ...


class Chat:
    """Words to plans by a language model (fulfils `roles.Planner`)."""

    def __init__(self, complete: Complete, settings: ChatSettings | None = None):
        self.complete, self.settings = complete, settings or ChatSettings()

    def plan(self, instruction: str, description: str = "") -> tuple[Plan, ...]:
        """One plan for each edit that the instruction asks for.

        Raises:
            PlanError: the model sees no edit, or gives no usable answer in all of its attempts.
        """
        if not instruction.strip():
            raise PlanError("the instruction is empty: say what to change, for example 'make the cat a tiger'")
        talk = [*opening(), Message("user", _quoted(instruction, description))]
        error = ""
        for _ in range(self.settings.retries + 1):
            reply = self.complete(tuple(talk))
            try:
                answer = read_answer(reply)
            except ValueError as problem:
                error = one_line(problem)
                talk += [
                    Message("assistant", reply[:2000]),
                    Message("user", prompt_text("retry").replace("{error}", error)),
                ]
                continue
            if not answer.edits:
                raise PlanError(f"the language model sees no edit in {instruction[:60]!r}: say what to change")
            return tuple(_plan(edit, description) for edit in answer.edits)
        attempts = self.settings.retries + 1
        raise PlanError(f"no usable plan from the language model in {attempts} attempts ({error}): say it more simply")


def opening() -> tuple[Message, ...]:
    """The context description and the three task examples, as a conversation's beginning."""
    schema = json.dumps(ChatAnswer.model_json_schema(), separators=(",", ":"))
    talk = [Message("system", prompt_text("context").replace("{schema}", schema))]
    for example in prompt_text("examples").strip().split("\n\n"):
        asked, answered = example.split("\n")
        talk += [Message("user", asked), Message("assistant", answered)]
    return tuple(talk)


def read_answer(reply: str) -> ChatAnswer:
    """The checked answer in a reply; a code fence or words around the JSON object are tolerated.

    Raises ValueError (pydantic's ValidationError is one) when there is no valid answer.
    """
    answer = ChatAnswer.model_validate(json_object(reply))
    for edit in answer.edits:
        if edit.kind in NEEDS_FIND and not edit.find:
            raise ValueError(f"'find' is empty, but {edit.kind} needs something to find")
    return answer


def json_object(reply: str) -> Any:
    """The first JSON object in a reply. Raises ValueError when there is none, or none that can be read."""
    start = reply.find("{")
    if start < 0:
        raise ValueError("no JSON object in the answer")
    try:
        value, _ = json.JSONDecoder().raw_decode(reply[start:])
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    return value


def load(folder: Path) -> Chat:
    """A planner from a pack's folder: chat.json (`ChatSettings`) names an endpoint, else it is a local model.

    Raises PackError when the folder holds neither, or the endpoint cannot be asked.
    """
    named = folder / "chat.json"
    if not named.is_file():
        return Chat(load_local(folder, ChatSettings()))
    try:
        settings = ChatSettings.model_validate_json(named.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise PackError(f"{named} cannot be used ({one_line(error)}): mend it, or install the pack again") from error
    return Chat(connect(settings), settings)


def connect(settings: ChatSettings, key: str = "") -> Complete:
    """Asks an OpenAI-compatible endpoint. An empty `key` reads OPENAI_API_KEY; local servers need none.

    Raises PackError when the `openai` package is missing; the returned function raises PlanError when the endpoint
    cannot be reached or refuses.
    """
    try:
        from openai import OpenAI, OpenAIError
    except ImportError as error:
        raise PackError(
            "a language model by endpoint needs the openai package: pip install 'pentimento[llm]'"
        ) from error
    base_url = settings.base_url or os.environ.get("OPENAI_BASE_URL") or None
    key = key or os.environ.get("OPENAI_API_KEY", "")
    if not key and base_url is None:
        raise PackError("no language model is named: set OPENAI_BASE_URL for a local server, or OPENAI_API_KEY")
    client = OpenAI(api_key=key or "none", base_url=base_url, timeout=settings.timeout)

    def complete(talk: Sequence[Message], answer: type[BaseModel] = ChatAnswer) -> str:
        try:
            return completed(client, settings, talk, answer)
        except OpenAIError as error:
            where = base_url or "the default endpoint"
            raise PlanError(
                f"the language model at {where} does not answer ({one_line(error)}): check its address"
            ) from error

    return complete


def completed(
    client: Any, settings: ChatSettings, talk: Sequence[Message], answer: type[BaseModel] = ChatAnswer
) -> str:
    """One answer of an `openai.OpenAI` client, asked for JSON by the schema of `answer`."""
    schema = {"name": answer.__name__, "schema": answer.model_json_schema()}
    response = client.chat.completions.create(
        model=settings.model,
        messages=[{"role": message.role, "content": message.content} for message in talk],
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        response_format={"type": "json_schema", "json_schema": schema},
    )
    return response.choices[0].message.content or ""


def load_local(folder: Path, settings: ChatSettings) -> Complete:
    """Asks a transformers causal language model in a local folder (safetensors only), greedily at temperature 0.

    Raises PackError when the folder holds no such model.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    except (OSError, ValueError, KeyError) as error:
        raise PackError(f"{folder} holds no causal language model ({one_line(error)}): give its folder") from error

    def complete(talk: Sequence[Message], answer: type[BaseModel] = ChatAnswer) -> str:
        import torch

        tokens = tokenizer(prompt_of(tokenizer, talk), return_tensors="pt")
        sampling = (
            {"do_sample": True, "temperature": settings.temperature} if settings.temperature else {"do_sample": False}
        )
        with torch.inference_mode():
            out = model.generate(
                **tokens, max_new_tokens=settings.max_tokens, pad_token_id=tokenizer.eos_token_id, **sampling
            )
        return str(tokenizer.decode(out[0, tokens["input_ids"].shape[1] :], skip_special_tokens=True))

    return complete


def prompt_of(tokenizer: Any, talk: Sequence[Message]) -> str:
    """The conversation in the model's own chat template; plain labelled turns for a base model that has none."""
    if tokenizer.chat_template:
        turns = [{"role": message.role, "content": message.content} for message in talk]
        return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    names = {"system": "", "user": "Request: ", "assistant": "Answer: "}
    return "\n\n".join(names[message.role] + message.content for message in talk) + "\n\nAnswer: "


def _plan(edit: ChatEdit, description: str) -> Plan:
    find = tuple(phrase.lower().strip(" .\"'") for phrase in edit.find)
    before, after = (caption.strip(" .\"'") for caption in (edit.before, edit.after))
    return Plan(
        find=find,
        which=edit.which,
        before=before,
        after=after,
        kind=edit.kind,
        description=description,
    )


def _quoted(instruction: str, description: str) -> str:
    return json.dumps({"instruction": instruction, "description": description}, ensure_ascii=False)


def prompt_text(name: str) -> str:
    """The text of a prompt in language/prompts."""
    return resources.files(__package__).joinpath("prompts", f"{name}.txt").read_text(encoding="utf-8")


def one_line(error: Exception) -> str:
    """What was wrong, in a line that a language model or a person can act on."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return (str(error).splitlines() or ["no message"])[0][:200]
