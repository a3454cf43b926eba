"""Keys of a checkpoint's files that the user asks to ignore."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tp_core.errors import TPError
from tp_core.interop.accounting import Account, shown
from tp_core.suggest import did_you_mean

if TYPE_CHECKING:
    pass

_OPTION = "--ignore-key"


class IgnoredKeys:
    """The keys that the user asks to ignore, in any of the files.

    Args:
        asked: keys, or paths such as ``text_config.hidden_act``.

    Attributes:
        notes: messages for the user about the keys that were ignored.
    """

    def __init__(self, asked: Iterable[str] = ()) -> None:
        self.asked = tuple(dict.fromkeys(asked))
        self.notes: list[str] = []
        self._found: set[str] = set()
        self._seen: dict[str, None] = {}

    def without(self, content: Mapping[str, Any], file: str) -> dict[str, Any]:
        """The content of a file without the ignored keys; adds a note for each ignored key."""

        def left(values: Mapping[str, Any], path: str) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for key, value in values.items():
                here = f"{path}{key}"
                self._seen[here] = None
                if here in self.asked:
                    self._found.add(here)
                    self.notes.append(f"{file}: '{here}' is {shown(value)}, and is ignored as you asked")
                else:
                    found[key] = left(value, f"{here}.") if isinstance(value, dict) else value
            return found

        return left(content, "")

    def nearly(self, account: Account) -> list[str]:
        """Messages about ignored keys that were not found but resemble refused keys of a file."""
        missed = {key: did_you_mean(key, account.refused) for key in self.asked if key not in self._found}
        return [f"{_OPTION} {key} is no key of {account.file}; {near}" for key, near in missed.items() if near]

    def check(self) -> None:
        """Check that every key was found.

        Raises:
            TPError: a key is in none of the files; the message suggests the nearest key.
        """
        for key in self.asked:
            if key not in self._found:
                near = did_you_mean(key, self._seen)
                raise TPError(f"{_OPTION} {key}: no file that is read has this key{f'; {near}' if near else ''}")
