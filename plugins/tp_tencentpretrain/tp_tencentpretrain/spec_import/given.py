"""The options of a config and a command line, which remember those that were read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any


class Given(Mapping[str, Any]):
    """The options of a config and a command line, which goes before the config.

    An option is used if its value was read. ``name in given`` reads no value.

    Args:
        config: the options of the config.
        command: the options of the command line.
    """

    def __init__(self, config: Mapping[str, Any], command: Mapping[str, Any]) -> None:
        written = {name: value for name, value in config.items() if value is not None}
        self._values, self._command = {**written, **command}, tuple(command)
        self._used: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        value = self._values[name]
        self._used.add(name)
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def among(self, names: Collection[str]) -> dict[str, Any]:
        """The options of the command line that are among names. They do not count as used."""
        return {name: self._values[name] for name in self._command if name in names}

    def use(self, *names: str) -> None:
        """Note that options are used, or that nothing depends on them."""
        self._used.update(names)

    def unused(self) -> list[str]:
        """The options of the command line whose values were not read."""
        return [name for name in self._command if name not in self._used]
