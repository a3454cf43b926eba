"""The positions of the final sequence that targets read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from tp_core.interfaces import Batch, Sequence, Target
from tp_core.packages.plugin_errors import wrong_value


def for_readers(sequence: Sequence, batch: Batch, stream: str, readers: Mapping[str, Target] | None) -> Sequence:
    """The sequence with the ``read_positions`` of all its readers, if each of them names some.

    Args:
        sequence: the sequence before the last encoder or decoder.
        stream: name of the stream; empty for the only one.
        readers: the targets that read the final sequence, by name; None if others read it, too.

    Raises:
        PluginError: a target names positions of another shape or dtype.
    """
    if not readers:
        return sequence
    found: list[Tensor] = []
    for target in readers.values():
        positions = target.read_positions(sequence, batch, stream)
        if positions is None:
            return sequence
        rows = len(sequence.states)
        if positions.dim() != 2 or len(positions) != rows or positions.dtype != torch.int64:
            shown = f"{positions.dtype} {[*positions.shape]}"
            raise wrong_value(target, "read_positions", shown, f"int64 (batch, number) with batch = {rows}")
        found.append(positions)
    return replace(sequence, read_positions=found[0] if len(found) == 1 else torch.cat(found, dim=1))
