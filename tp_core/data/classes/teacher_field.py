"""The field of records with what a teacher says about their classes. Torch-free."""

from typing import NamedTuple


class TeacherField(NamedTuple):
    """A field of records with a teacher's probabilities or logits.

    Attributes:
        name: name of the field.
        logits: True if the numbers are logits.
    """

    name: str
    logits: bool
