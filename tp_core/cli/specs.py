"""Loading a spec to look at it, finished or not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tp_core.errors import TPError

if TYPE_CHECKING:
    from tp_core.spec.nodes import Node
    from tp_core.spec.schema import Spec


def spec_file(path: str) -> str:
    """The spec of ``path``: itself, or the spec inside an exported model's or a run's folder.

    Raises:
        TPError: a folder without a spec.
    """
    if not os.path.isdir(path):
        return path
    for inner in ("spec.yaml", os.path.join("model", "spec.yaml")):
        file = os.path.join(path, inner)
        if os.path.isfile(file):
            return file
    raise TPError(f"{path}: the folder is neither a model nor a run: it has no spec.yaml and no model/spec.yaml")


def has_own_data(root: Node) -> bool:
    """Whether the user wrote anything under ``data:``.

    Presets name a processor but neither tokenizer nor files; such a data part waits to be completed.
    """
    data = root.mapping.get("data")
    return data is not None and any(
        not node.at().source.startswith("preset ") for node in data.mapping.values()
    )


def load_unfinished(path: str, overrides: Sequence[str] = ()) -> tuple[Spec, Node]:
    """A validated spec and its merged tree; a preset's data part may lack its tokenizer.

    Raises:
        SpecError: with every problem that was found, sorted by place.
    """
    from tp_core.spec.checks import check_model
    from tp_core.spec.choose import Problems
    from tp_core.spec.errors import SpecError
    from tp_core.spec.load import _name, _Resolver, read_tree

    root = read_tree(path, overrides)
    problems = Problems()
    spec = _Resolver(root, problems).spec(_name(path))
    if spec is not None and not problems:
        check_model(spec, root, problems)
        if not has_own_data(root):
            problems = Problems(p for p in problems if p.path != "data.tokenizer")
    if problems or spec is None:
        raise SpecError(problems)
    return spec, root
