"""Sources on the command line. Torch-free."""

from __future__ import annotations

import os
import re

from tp_core.local.trust import running_local_files
from tp_core.options.choice import Chosen
from tp_core.options.source import SourceConfig
from tp_core.spec.checks.plugin_problems import plugin_errors_told
from tp_core.spec.checks.run import check_source
from tp_core.spec.choices.choose import Used, choose
from tp_core.spec.errors import Problems, SpecError
from tp_core.spec.tree.canonical import slot
from tp_core.spec.tree.nodes import Node
from tp_core.spec.tree.yaml_loader import parse

#: The beginning of ``{name: ...}``. Path patterns such as ``{train,extra}/*.tar`` begin with a brace, too.
_CHOICE = re.compile(r"""\s*\{\s*("[^"]*"\s*:|[^{},"]+:\s)""")


def is_source(text: str) -> bool:
    """True for the choice of a source, such as ``{acme.sqlite: {path: a.db, table: t}}``; other texts are paths."""
    return _CHOICE.match(text) is not None and not os.path.exists(text)


def named_source(text: str, option: str) -> Chosen[SourceConfig]:
    """The source that an option of the command line names.

    Args:
        text: the choice, written as in a spec.
        option: name of the option, for messages.

    Raises:
        SpecError: the choice has problems; the error lists all of them.
    """
    node = slot(parse(text, option), "")
    root, problems = Node({option: node}, node.origin), Problems()
    with plugin_errors_told(problems, lambda: None), running_local_files(True):
        chosen: Chosen[SourceConfig] | None = choose("source", node, option, {}, problems, Used())
        if chosen is not None:
            check_source(chosen, root, problems)
    if problems or chosen is None:
        raise SpecError(problem._replace(path=problem.path.removeprefix(f"{option}.")) for problem in problems)
    return chosen
