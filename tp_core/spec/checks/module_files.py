"""The files that modules name exist."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tp_core.options.choice import Chosen
from tp_core.spec.checks.files import no_file
from tp_core.spec.checks.plugin_problems import files_of
from tp_core.spec.choices.module_nodes import node_of
from tp_core.spec.errors import Problems
from tp_core.spec.tree.nodes import Node


def check_files(modules: Iterable[Chosen[Any]], root: Node, problems: Problems, training: bool = False) -> None:
    """Report missing files of modules.

    Args:
        training: True for files that only training needs.
    """
    for chosen in modules:
        for option, path in files_of(chosen.config, "training_files" if training else "files").items():
            if why := no_file(path):
                problems.add(f"{chosen.path}.{option}", why, node_of(root, chosen, option))
