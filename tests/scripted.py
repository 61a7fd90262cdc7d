"""A language model whose answers a test writes."""

from collections.abc import Sequence

from pydantic import BaseModel

from pentimento.language.chat import Message


class Scripted:
    """Says its lines one after the other, and remembers what it was told and in which form it was to answer."""

    def __init__(self, *lines: str):
        self.lines, self.heard, self.kinds = list(lines), list[tuple[Message, ...]](), list[type[BaseModel]]()

    def __call__(self, talk: Sequence[Message], kind: type[BaseModel]) -> str:
        self.heard.append(tuple(talk))
        self.kinds.append(kind)
        return self.lines.pop(0)
