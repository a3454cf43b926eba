"""Names of classes: how they are compared, and numbers of data sets that know the names of theirs. Torch-free."""

from __future__ import annotations

import unicodedata


def as_compared(name: str) -> str:
    """A name in the form in which equal ones are equal (NFC): an accent is a character of its own, or is none."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


class NamedClass(int):
    """A class's number in a data set that has names for its classes (``ClassLabel`` of Hugging Face ``datasets``).

    Attributes:
        name: of the class.
    """

    name: str

    def __new__(cls, number: int, name: str) -> NamedClass:
        made = super().__new__(cls, number)
        made.name = name
        return made

    def __reduce__(self) -> tuple[type[NamedClass], tuple[int, str]]:
        return NamedClass, (int(self), self.name)
