"""Conversations: reading them from records, and the texts before and after each turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tp_core.data.fields import missing_field, text_field
from tp_core.errors import DataError
from tp_core.interfaces import Record
from tp_core.suggest import did_you_mean
from tp_text.processors.instruction_options import InstructionProcessorConfig

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant")


@dataclass(frozen=True)
class Turn:
    """One message of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True)
class Template:
    """The texts before and after a message, by role."""

    prefix: dict[Role, str]
    suffix: dict[Role, str]
    system: str | None

    @classmethod
    def of(cls, config: InstructionProcessorConfig) -> Template:
        prefix: dict[Role, str] = {role: getattr(config, f"{role}_prefix") for role in ROLES}
        suffix: dict[Role, str] = {role: getattr(config, f"{role}_suffix") for role in ROLES}
        return cls(prefix, suffix, config.system)

    def complete(self, turns: list[Turn]) -> list[Turn]:
        """Prepend the template's system message if the conversation has no system message."""
        if self.system is None or turns[0].role == "system":
            return turns
        return [Turn("system", self.system), *turns]


def turns_of(record: Record) -> list[Turn]:
    """The conversation of a record: ``messages``, or ``instruction`` (and ``input``) and ``output``.

    Raises:
        DataError: the record has no conversation, or the conversation has no answer.
    """
    turns = questions_of(record)
    if record.value.get("messages") is None:
        answer = text_field(record, "output")
        if answer is None:
            raise missing_field(record, "'output'")
        turns.append(Turn("assistant", answer))
    if not any(turn.role == "assistant" and turn.content.strip() for turn in turns):
        raise DataError("the conversation has no answer to learn from", file=record.file, line=record.line)
    return turns


def questions_of(record: Record) -> list[Turn]:
    """The messages of a record, or its instruction without the ``output``; a plain ``text`` is a user message.

    Raises:
        DataError: the record has none of these fields, or its messages are malformed.
    """
    messages = record.value.get("messages")
    if messages is not None:
        if not isinstance(messages, list) or not messages:
            raise DataError("'messages' is no list of messages", file=record.file, line=record.line)
        return [_turn(message, number, record) for number, message in enumerate(messages, 1)]
    instruction = text_field(record, "instruction", "text")
    if instruction is None:
        raise missing_field(record, "'messages' or 'instruction'")
    more, system = text_field(record, "input"), text_field(record, "system")
    user = Turn("user", f"{instruction}\n{more}" if more else instruction)
    return [Turn("system", system), user] if system else [user]


def _turn(message: Any, number: int, record: Record) -> Turn:
    if not isinstance(message, dict) or not {"role", "content"} <= set(message):
        problem = f"message {number} is no object with role and content"
        raise DataError(problem, file=record.file, line=record.line)
    role, content = message["role"], message["content"]
    if role not in ROLES:
        near = did_you_mean(str(role), ROLES) or f"the roles are {', '.join(ROLES)}"
        problem = f"message {number} has the role '{role}'; {near}"
        raise DataError(problem, file=record.file, line=record.line)
    name = f"content of message {number}"
    text = text_field(Record({name: content}, record.file, record.line), name)
    if text is None:
        raise DataError(f"the {name} is no text", file=record.file, line=record.line)
    return Turn(role, text)
