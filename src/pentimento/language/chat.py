"""The paper's language processor: a large language model with an in-context prompt (InstructEdit Sec. 3.2, App. C.1).

Any OpenAI-compatible endpoint (`connect`) or a local transformers causal model (`load_local`). The prompt is ours: a
context description and three task examples (replace, add, remove). The instruction goes in as quoted data and the
answer is data too: it can fill the fields of a plan and nothing else. Where the authors' code cuts replies at 40
tokens and reads them with regexes, we ask for JSON by schema, check it, ask again with the error, then give up.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ..errors import PackError, PlanError, UnusableAnswer
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


PACK_KEY = "PENTIMENTO_CHAT_KEY"
"""Holds the key for an endpoint that a pack names."""
Complete = Callable[[Sequence[Message], type[BaseModel]], str]
"""A conversation's next answer, as text. It should be JSON that fits the class; an endpoint can enforce its schema."""


class ChatSettings(BaseModel):
    """How the language model is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str = Field("gpt-4.1-mini", description="the model's name at the endpoint")
    base_url: str = Field("", description="an OpenAI-compatible endpoint; empty reads OPENAI_BASE_URL")
    temperature: float = Field(0.0, ge=0, le=2, description="of the answers; the authors' code has 0.6")
    seed: int = Field(0, ge=0, description="of the answers, when the temperature is not 0")
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

    @model_validator(mode="after")
    def _names_what_it_needs(self) -> Self:
        if self.kind in NEEDS_FIND and not self.find:
            raise ValueError(f"'find' is empty, but {self.kind} needs something to find")
        return self


class ChatAnswer(BaseModel):
    """The model's whole answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    edits: tuple[ChatEdit, ...] = Field(max_length=6, description="no entry when no change of a picture is asked for")


AnswerT = TypeVar("AnswerT", bound=BaseModel)


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
        talk = (*opening(), Message("user", _quoted(instruction, description)))
        answer = answered(self.complete, talk, ChatAnswer, self.settings.retries)
        if not answer.edits:
            raise PlanError(f"the language model sees no edit in {instruction[:60]!r}: say what to change")
        return tuple(_plan(edit, description) for edit in answer.edits)


def answered(complete: Complete, talk: Sequence[Message], kind: type[AnswerT], retries: int) -> AnswerT:
    """The first usable answer; an unusable one is asked for again, with its error.

    Raises: UnusableAnswer after so many retries.
    """
    said, error = list(talk), ""
    for _ in range(retries + 1):
        reply = complete(tuple(said), kind)
        try:
            return read_answer(reply, kind)
        except ValueError as problem:
            error = _one_line(problem)
            said += [Message("assistant", reply[:2000]), Message("user", _text("retry").replace("{error}", error))]
    raise UnusableAnswer(
        f"no usable answer from the language model in {retries + 1} attempts ({error}): say it more simply"
    )


def opening(
    context: str = "context", examples: str = "examples", kind: type[BaseModel] = ChatAnswer
) -> tuple[Message, ...]:
    """A context description and task examples, as a conversation's beginning: for plans, or two other prompt files.

    The prompt is fixed: a request follows as one more message of the user.
    """
    schema = json.dumps(kind.model_json_schema(), separators=(",", ":"))
    talk = [Message("system", _text(context).replace("{schema}", schema))]
    for example in _text(examples).strip().split("\n\n"):
        asked, given = example.split("\n")
        talk += [Message("user", asked), Message("assistant", given)]
    return tuple(talk)


def prompt_digest(prompt: Sequence[Message]) -> str:
    """A short name of a prompt's words, for what is kept of its answers."""
    return hashlib.sha256("\n".join(message.content for message in prompt).encode()).hexdigest()[:12]


def read_answer(reply: str, kind: type[AnswerT]) -> AnswerT:
    """The checked answer in a reply; a code fence or words around the JSON object are tolerated.

    Raises ValueError (pydantic's ValidationError is one) when there is no valid answer.
    """
    start = reply.find("{")
    if start < 0:
        raise ValueError("no JSON object in the answer")
    try:
        value, _ = json.JSONDecoder().raw_decode(reply[start:])
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    return kind.model_validate(value)


def load(folder: Path) -> Chat:
    """A planner from a pack's folder: chat.json (`ChatSettings`) names an endpoint, else it is a local model.

    An address that the pack names is never sent OPENAI_API_KEY, which is not meant for it, but what PENTIMENTO_CHAT_KEY
    says.
    Raises PackError when the folder holds neither, or the endpoint cannot be asked.
    """
    named = folder / "chat.json"
    if not named.is_file():
        return Chat(load_local(folder, ChatSettings()))
    try:
        settings = ChatSettings.model_validate_json(named.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise PackError(f"{named} cannot be used ({_one_line(error)}): mend it, or install the pack again") from error
    key = os.environ.get(PACK_KEY, "") or "none" if settings.base_url else ""
    return Chat(connect(settings, key), settings)


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

    def complete(talk: Sequence[Message], kind: type[BaseModel]) -> str:
        try:
            return completed(client, settings, talk, kind)
        except OpenAIError as error:
            where = base_url or "the default endpoint"
            raise PlanError(
                f"the language model at {where} does not answer ({_one_line(error)}): check its address"
            ) from error

    return complete


def completed(client: Any, settings: ChatSettings, talk: Sequence[Message], kind: type[BaseModel]) -> str:
    """One answer of an `openai.OpenAI` client, asked for JSON by the schema of `kind`."""
    schema = {"name": kind.__name__, "schema": kind.model_json_schema()}
    response = client.chat.completions.create(
        model=settings.model,
        messages=[{"role": message.role, "content": message.content} for message in talk],
        temperature=settings.temperature,
        seed=settings.seed,
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
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False
        ).eval()
    except (OSError, ValueError, KeyError) as error:
        raise PackError(f"{folder} holds no causal language model ({_one_line(error)}): give its folder") from error

    def complete(talk: Sequence[Message], kind: type[BaseModel]) -> str:
        import torch

        tokens = tokenizer(prompt_of(tokenizer, talk), return_tensors="pt")
        sampling = (
            {"do_sample": True, "temperature": settings.temperature} if settings.temperature else {"do_sample": False}
        )
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
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


def _text(name: str) -> str:
    return resources.files(__package__).joinpath("prompts", f"{name}.txt").read_text(encoding="utf-8")


def _one_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return (str(error).splitlines() or ["no message"])[0][:200]
