"""The miniature's language model: marks, word by word, what an instruction finds and what is new, and names the rest.

Words are read letter by letter and copied: a noun that training never showed works like any other. Only the few
hundred words that frame instructions ("change", "instead") have a vector of their own besides.
A learned query for each possible edit gathers kind, choice, closed value and "is it only a pronoun". Training data
lives upstairs; this room knows texts, tensors and plans.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import PackError, PlanError
from ..values import CHOICES, KINDS, Plan
from . import lexicon
from .captions import NEEDS_FIND, NEEDS_NEW, plan_of, tidy

EDITS = 3
"""Edits in one instruction, at most."""
WORD_BYTES = 16
"""Bytes of a word that are read; longer words are cut for the model, never for the plan."""
MAX_WORDS = 90
"""Words of an instruction or of a description, at most."""
FORGET = 0.08
"""The chance, in training, that a frame word is only spelled."""
MISSPELL = 0.2
"""The chance, in training, that a word which is only spelled is another one of the same length and ending."""
NO_EDIT = len(KINDS)
WHICH = (*CHOICES, *(f"{n} from {side}" for n in range(2, 10) for side in ("left", "right", "top", "bottom")))
"""Answers of the choice heads; the second head's last answer is "no second choice"."""
VALUES = tuple((kind, value) for kind, values in lexicon.VALUES.items() for value in values)
TAGS = ("none", "find begins", "find goes on", "new begins", "new goes on")
_NO_BYTE = 256
_QUANTIFIERS = frozenset("all every each any both everything whatever".split())
_WORD = re.compile(r"['’]s\b|[^\W_]+(?:-[^\W_]+|['’](?!s\b)[^\W_]+)*|[^\s]")


class TaggerSettings(BaseModel):
    """The model's shape."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(128, ge=8)
    heads: int = Field(4, ge=1)
    layers: int = Field(4, ge=1)
    feedforward: int = Field(384, ge=8)
    letters: int = Field(32, ge=4)
    filters: int = Field(64, ge=4)
    neighbours: int = Field(0, ge=0, description="words to each side that a layer reads together; 0 for none")
    frame: tuple[str, ...] = Field((), description="words with a vector of their own")


@dataclass(frozen=True)
class Word:
    """A word of a text: its lower-case letters, and where it stands in the text."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Batch:
    """Texts for the model. `letters` are the distinct words as bytes, `known` their numbers among the frame words
    (0 for none), `index` which of them stands where.

    `parts` is 0 for padding, 1 for the instruction's words, 2 for the description's. Answers are -100 where there is
    nothing to answer; they are all -100 when the batch only asks.
    """

    letters: Int[Tensor, "distinct bytes"]
    known: Int[Tensor, " distinct"]
    index: Int[Tensor, "batch words"]
    parts: Int[Tensor, "batch words"]
    tags: Int[Tensor, "batch words edits"]
    kinds: Int[Tensor, "batch edits"]
    which: Int[Tensor, "batch edits"]
    second: Int[Tensor, "batch edits"]
    values: Int[Tensor, "batch edits"]
    pronouns: Int[Tensor, "batch edits"]


@dataclass(frozen=True)
class Scores:
    """The model's answers as logits, in the order of `Batch`'s fields."""

    tags: Float[Tensor, "batch words edits tags"]
    kinds: Float[Tensor, "batch edits kinds"]
    which: Float[Tensor, "batch edits choices"]
    second: Float[Tensor, "batch edits choices_and_none"]
    values: Float[Tensor, "batch edits values"]
    pronouns: Float[Tensor, "batch edits two"]


@dataclass(frozen=True)
class Answer:
    """The answers for one edit of a text, whoever gave them. `sure` is the lowest probability among them.

    `find`, `pointed` and `new` are word ranges [start, end) of the instruction, description and instruction.
    """

    kind: str
    find: tuple[range, ...]
    pointed: tuple[range, ...]
    new: tuple[range, ...]
    which: tuple[str, ...]
    value: str
    pronoun: bool
    sure: float = 1.0


class TaggerNet(nn.Module):
    """Letters -> words -> a transformer over edit queries and words -> `Scores`."""

    def __init__(self, settings: TaggerSettings):
        super().__init__()
        self.settings = settings
        d = settings.width
        self.letters = nn.Embedding(_NO_BYTE + 1, settings.letters, padding_idx=_NO_BYTE)
        self.narrow = nn.Conv1d(settings.letters, settings.filters, 3, padding=1)
        self.wide = nn.Conv1d(settings.letters, settings.filters, 5, padding=2)
        self.word = nn.Linear(2 * settings.filters, d)
        self.frame = nn.Embedding(len(settings.frame) + 1, d, padding_idx=0)
        self.numbers = {word: i for i, word in enumerate(settings.frame, 1)}
        self.parts = nn.Embedding(3, d)
        self.places = nn.Embedding(MAX_WORDS, d)
        self.queries = nn.Parameter(torch.randn(EDITS, d) * 0.02)
        layer = nn.TransformerEncoderLayer(
            d, settings.heads, settings.feedforward, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, settings.layers, nn.LayerNorm(d), enable_nested_tensor=False)
        around = settings.neighbours
        phrases = settings.layers if around else 0
        self.phrases = nn.ModuleList(nn.Conv1d(d, d, 2 * around + 1, padding=around) for _ in range(phrases))
        for parameter in self.phrases.parameters():  # at first it changes nothing, so a net without can grow into it
            nn.init.zeros_(parameter)
        self.tags = nn.Linear(d, EDITS * len(TAGS))
        self.kinds = nn.Linear(d, len(KINDS) + 1)
        self.which = nn.Linear(d, len(WHICH))
        self.second = nn.Linear(d, len(WHICH) + 1)
        self.values = nn.Linear(d, len(VALUES))
        self.pronouns = nn.Linear(d, 2)

    def forward(self, batch: Batch) -> Scores:
        spelled, known = batch.letters, batch.known
        if self.training:  # some frame words are read as if they were unknown
            chance = torch.rand(2, len(known), device=known.device)
            spelled = misspelled(spelled, (known == 0) & (chance[0] < MISSPELL))
            known = torch.where(chance[1] < FORGET, 0, known)
        letters = self.letters(spelled).transpose(1, 2)  # (distinct, letters, bytes)
        shapes = torch.cat([self.narrow(letters), self.wide(letters)], 1).relu().amax(2)  # (distinct, 2 filters)
        words = (self.word(shapes) + self.frame(known))[batch.index]  # (b, words, d)
        words = words + self.parts(batch.parts) + self.places(_places(batch.parts))
        b = words.shape[0]
        x = torch.cat([self.queries.expand(b, -1, -1), words], 1)  # (b, edits + words, d)
        absent = torch.cat([batch.parts.new_zeros(b, EDITS, dtype=torch.bool), batch.parts == 0], 1)
        x = self._encoded(x, absent)
        edits, words = x[:, :EDITS], x[:, EDITS:]
        return Scores(
            self.tags(words).unflatten(-1, (EDITS, len(TAGS))),
            self.kinds(edits),
            self.which(edits),
            self.second(edits),
            self.values(edits),
            self.pronouns(edits),
        )

    def _encoded(self, x: Float[Tensor, "batch places width"], absent: Tensor) -> Float[Tensor, "batch places width"]:
        """The transformer; before each layer a word takes in its neighbours, wherever in the text they stand."""
        if not self.phrases:
            encoded: Tensor = self.encoder(x, src_key_padding_mask=absent)
            return encoded
        present = (~absent[:, EDITS:, None]).to(x.dtype)  # (b, words, 1)
        for layer, phrase in zip(self.encoder.layers, self.phrases, strict=True):
            words = nn.functional.layer_norm(x[:, EDITS:], x.shape[-1:]) * present
            near = nn.functional.gelu(phrase(words.transpose(1, 2)).transpose(1, 2))  # (b, words, d)
            x = layer(x + nn.functional.pad(near * present, (0, 0, EDITS, 0)), src_key_padding_mask=absent)
        assert self.encoder.norm is not None
        return cast(Tensor, self.encoder.norm(x))


class Tagger:
    """Words to plans with a trained `TaggerNet` (fulfils `roles.Planner`).

    `doubt` is the probability under which an answer counts as not understood.
    """

    def __init__(self, net: TaggerNet, doubt: float = 0.35):
        self.net, self.doubt = net.eval(), doubt

    def plan(self, instruction: str, description: str = "") -> tuple[Plan, ...]:
        """One plan for each edit that the instruction asks for (InstructEdit Sec. 3.2).

        Raises:
            PlanError: no edit was understood, or a pronoun stands alone without a description.
        """
        read, described = words_of(instruction), words_of(description)[:MAX_WORDS]
        if not read:
            raise PlanError("the instruction is empty: say what to change, for example 'make the cat a tiger'")
        if len(read) > MAX_WORDS:
            raise PlanError(f"the instruction has {len(read)} words, at most {MAX_WORDS} are understood: shorten it")
        with torch.inference_mode():
            scores = self.net(batch_of(self.net.numbers, [(read, described)]))
        answers = answers_of(scores, len(read), len(described))
        return plans_of(answers, instruction, description, self.doubt)


def words_of(text: str) -> tuple[Word, ...]:
    """The words and marks of a text in lower case; "t-shirt" and "don't" are one, "'s" is a word of its own."""
    found = (Word(match[0].lower().replace("’", "'"), match.start(), match.end()) for match in _WORD.finditer(text))
    return tuple(found)


@lru_cache(maxsize=100_000)
def _bytes(word: str) -> np.ndarray:
    row = np.full(WORD_BYTES, _NO_BYTE, np.int64)
    letters = word.encode("utf-8", "replace")[:WORD_BYTES]
    row[: len(letters)] = np.frombuffer(letters, np.uint8)
    return row


def misspelled(letters: Int[Tensor, "distinct bytes"], which: Tensor) -> Int[Tensor, "distinct bytes"]:
    """Other small letters for the words `which`, bool (distinct,), but for their last two; marks stay as they are."""
    other = torch.randint_like(letters, ord("a"), ord("z") + 1)
    small = (letters >= ord("a")) & (letters <= ord("z"))
    follows = nn.functional.pad(letters[:, 2:], (0, 2), value=_NO_BYTE) != _NO_BYTE  # two more come after it
    return torch.where(which[:, None] & small & follows, other, letters)


def _places(parts: Int[Tensor, "batch words"]) -> Int[Tensor, "batch words"]:
    """Each word's place in its own part; padding stands at place 0."""
    places = torch.zeros_like(parts)
    for part in (1, 2):
        inside = parts == part
        places = torch.where(inside, inside.cumsum(1) - 1, places)
    return places


def batch_of(
    numbers: Mapping[str, int],
    texts: Sequence[tuple[Sequence[Word], Sequence[Word]]],
    answers: Sequence[Sequence[Answer]] = (),
) -> Batch:
    """The texts (instruction, description) as tensors, with the `answers` to be learned when there are any.

    `numbers` are those of the net that will read the batch.
    """
    n, longest = len(texts), max(len(a) + len(b) for a, b in texts)
    table: dict[str, int] = {"": 0}
    index, parts = np.zeros((n, longest), np.int64), np.zeros((n, longest), np.int64)
    tags = np.full((n, longest, EDITS), -100, np.int64)
    heads = {name: np.full((n, EDITS), -100, np.int64) for name in ("kinds", "which", "second", "values", "pronouns")}
    for i, (read, described) in enumerate(texts):
        for j, word in enumerate((*read, *described)):
            index[i, j] = table.setdefault(word.text, len(table))
            parts[i, j] = 1 if j < len(read) else 2
        if answers:
            _write_answers(
                answers[i], len(read), tags[i, : len(read) + len(described)], {k: v[i] for k, v in heads.items()}
            )
    letters = np.stack([_bytes(word) for word in table])
    return Batch(
        torch.from_numpy(letters),
        torch.tensor([numbers.get(word, 0) for word in table]),
        torch.from_numpy(index),
        torch.from_numpy(parts),
        torch.from_numpy(tags),
        **{name: torch.from_numpy(head) for name, head in heads.items()},
    )


def _write_answers(answers: Sequence[Answer], read: int, tags: np.ndarray, heads: dict[str, np.ndarray]) -> None:
    tags[:] = 0
    for e in range(EDITS):
        heads["kinds"][e] = NO_EDIT
    for e, answer in enumerate(answers[:EDITS]):
        heads["kinds"][e] = KINDS.index(answer.kind)
        for begin, ranges, shift in ((1, answer.find, 0), (1, answer.pointed, read), (3, answer.new, 0)):
            for span in ranges:
                tags[span.start + shift, e] = begin
                tags[span.start + shift + 1 : span.stop + shift, e] = begin + 1
        heads["pronouns"][e] = int(answer.pronoun)
        if answer.value:
            heads["values"][e] = VALUES.index((answer.kind, answer.value))
        if answer.find and not answer.pronoun:
            heads["which"][e] = WHICH.index(answer.which[0])
            heads["second"][e] = WHICH.index(answer.which[1]) if len(answer.which) > 1 else len(WHICH)
        elif answer.pronoun:
            heads["which"][e], heads["second"][e] = WHICH.index(answer.which[0]), len(WHICH)


def loss_of(scores: Scores, batch: Batch) -> Tensor:
    """The mean cross entropy of every answer, in nats; tags weigh four times, they are decided together."""
    pairs = (
        (scores.tags, batch.tags, 4.0),
        (scores.kinds, batch.kinds, 1.0),
        (scores.which, batch.which, 0.7),
        (scores.second, batch.second, 0.3),
        (scores.values, batch.values, 0.7),
        (scores.pronouns, batch.pronouns, 0.3),
    )
    total = scores.kinds.new_zeros(())
    for logits, answers, weight in pairs:
        some = (answers != -100).sum().clamp(min=1)
        summed = nn.functional.cross_entropy(
            logits.flatten(0, -2).float(), answers.flatten(), ignore_index=-100, reduction="sum"
        )
        total = total + weight * summed / some
    return total


def answers_of(scores: Scores, read: int, described: int) -> tuple[Answer, ...]:
    """The answers for the first text of the scores, until the first edit that is none."""
    kinds = scores.kinds[0].float().softmax(-1)
    tags = scores.tags[0, : read + described].float().softmax(-1)
    answers = []
    for e in range(EDITS):
        sure_kind, kind = kinds[e].max(-1)
        if int(kind) == NO_EDIT:
            break
        name = KINDS[int(kind)]
        marks = tags[:, e].argmax(-1).tolist()
        which = [WHICH[int(scores.which[0, e].argmax())]]
        second = int(scores.second[0, e].argmax())
        if second < len(WHICH) and which[0] not in ("best", "all"):
            which.append(WHICH[second])
        allowed = [i for i, (of, _) in enumerate(VALUES) if of == name]
        value = VALUES[allowed[int(scores.values[0, e, allowed].argmax())]][1] if allowed else ""
        pronoun = bool(scores.pronouns[0, e].argmax())
        if pronoun and described:  # it means one thing
            marks[read:] = _one_thing(tags[read:, e])
        marked = [float(tags[i, e, mark]) for i, mark in enumerate(marks) if mark]
        answers.append(
            Answer(
                kind=name,
                find=_ranges(marks[:read], 1),
                pointed=_ranges(marks[read:], 1),
                new=_ranges(marks[:read], 3),
                which=tuple(which),
                value=value,
                pronoun=pronoun,
                sure=min([float(sure_kind), *marked]),
            )
        )
    return tuple(answers)


def _one_thing(tags: Float[Tensor, "words tags"]) -> list[int]:
    """Marks for the one likeliest thing to find, none elsewhere."""
    marks = [0] * len(tags)
    first = int(tags[:, 1].argmax())
    marks[first] = 1
    for i in range(first + 1, len(tags)):
        if tags[i, 2] < max(tags[i, 0], tags[i, 1]):
            break
        marks[i] = 2
    return marks


def _ranges(marks: Sequence[int], begin: int) -> tuple[range, ...]:
    """Runs of `begin` (or of a stray `begin + 1`) and the `begin + 1` that follow."""
    runs: list[range] = []
    for i, mark in enumerate(marks):
        if mark == begin + 1 and runs and runs[-1].stop == i:
            runs[-1] = range(runs[-1].start, i + 1)
        elif mark in (begin, begin + 1):
            runs.append(range(i, i + 1))
    return tuple(runs)


def plans_of(
    answers: Sequence[Answer], instruction: str, description: str = "", doubt: float = 0.0
) -> tuple[Plan, ...]:
    """Copies the marked words out of the texts and makes the canonical plans.

    Raises:
        PlanError: there is no edit, a doubtful one, or one that lacks what its kind needs.
    """
    if not answers:
        raise PlanError(
            f"found no edit in {_short(instruction)}: say in English what to change, as in 'make the cat a tiger'"
        )
    read, described = words_of(instruction), words_of(description)
    plans = []
    for answer in answers:
        find = [_copy(instruction, read, span) for span in answer.find]
        if not find and answer.pointed:
            find = [_copy(description, described, span) for span in answer.pointed]
        if answer.kind in NEEDS_FIND and not find:
            if answer.pronoun:
                raise PlanError(
                    f"{_short(instruction)} names nothing to edit: name the thing, or give --description or --image"
                )
            raise PlanError(
                f"{_short(instruction)} does not say what to edit: name the thing as it is seen in the picture"
            )
        new = answer.value or (_copy(instruction, read, answer.new[0]) if answer.new else "")
        if answer.kind in NEEDS_NEW and not new:
            raise PlanError(f"{_short(instruction)} does not say what is wanted: say it, as in 'make the cat a tiger'")
        if answer.sure < doubt:
            raise PlanError(
                f"not sure what {_short(instruction)} asks for: put it more simply, as in 'change the cat to a tiger'"
            )
        if answer.kind == "add" and answer.pronoun and not find:
            raise PlanError(
                f"{_short(instruction)} names nothing to edit: name the thing, or give --description or --image"
            )
        which = answer.which if len(answer.which) > 1 else answer.which[0]
        if which == "all" and answer.find and not _means_all(read, find):
            which = "best"
        plans.append(plan_of(answer.kind, find, which, new, description))
    return tuple(dict.fromkeys(plans))


def _means_all(read: Sequence[Word], find: Sequence[str]) -> bool:
    """Whether "all" can be meant at all: something is plural, or a word such as "every" stands in the text."""
    plain = any(lexicon.plural(thing) == thing for thing in map(tidy, find))  # plural, or "sheep"
    return plain or any(word.text in _QUANTIFIERS for word in read)


def _copy(text: str, words: Sequence[Word], span: range) -> str:
    return text[words[span.start].start : words[span.stop - 1].end].lower()


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def grow(net: TaggerNet, earlier: TaggerNet) -> None:
    """Gives `net` all that `earlier` knows, and its answers: frame words and neighbours may have been added since.

    Raises PackError when the nets differ in more than that.
    """
    own, known = net.state_dict(), earlier.state_dict()
    rows = known.pop("frame.weight")
    if any(name not in own or own[name].shape != tensor.shape for name, tensor in known.items()):
        raise PackError("the earlier language model has another shape: train with its width, layers and neighbours")
    with torch.no_grad():
        for name, tensor in known.items():
            own[name].copy_(tensor)
        own["frame.weight"].zero_()
        for word, number in earlier.numbers.items():
            if word in net.numbers:
                own["frame.weight"][net.numbers[word]] = rows[number]


def save(net: TaggerNet, folder: Path) -> None:
    """Writes config.json and model.safetensors (fp16) into the folder, which is made when absent."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(net.settings.model_dump(), indent=2) + "\n")
    save_file({k: v.detach().half().contiguous() for k, v in net.state_dict().items()}, folder / "model.safetensors")


def load(folder: Path) -> TaggerNet:
    """The net that `save` wrote, in fp32 and ready to answer. Raises PackError when the folder does not hold one."""
    try:
        settings = TaggerSettings.model_validate_json((folder / "config.json").read_text())
        net = TaggerNet(settings)
        net.load_state_dict({k: v.float() for k, v in load_file(folder / "model.safetensors").items()})
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise PackError(
            f"{folder} holds no language model: {str(error).splitlines()[0]}; install the pack again"
        ) from error
    return net.eval()
