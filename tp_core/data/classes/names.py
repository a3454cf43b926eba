"""Names of classes: their comparison, and class numbers of data sets that have names. Torch-free."""

from __future__ import annotations

import unicodedata


def as_compared(name: str) -> str:
    """A name in Unicode form NFC, so that equal names compare as equal regardless of the encoding of accents."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


class NamedClass(int):
    """A class's number in a data set that has names for its classes (``ClassLabel`` of Hugging Face ``datasets``).

    Attributes:
        name: name of the class.
    """

    name: str

    def __new__(cls, number: int, name: str) -> NamedClass:
        made = super().__new__(cls, number)
        made.name = name
        return made

    def __reduce__(self) -> tuple[type[NamedClass], tuple[int, str]]:
        return NamedClass, (int(self), self.name)
