"""The original's numbers of segments."""

from __future__ import annotations

from torch import Tensor

from tp_core.interfaces import Inputs, Sequence


def segments(inputs: Inputs, sequence: Sequence) -> Tensor:
    """The numbers of the segments in the original, (batch, length): 1 and 2, where tp has 0 and 1.

    They are those of the sequence, if an earlier embedding has published them, or else those of the inputs.
    """
    published = sequence.published.get("token_type_ids")
    return (inputs["token_type_ids"] if published is None else published) + 1
