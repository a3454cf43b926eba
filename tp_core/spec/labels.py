"""Assignment of a processor's labels to the targets. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tp_core.options.choice import Chosen
from tp_core.options.ports import Port
from tp_core.spec.choices.module_ports import fields
from tp_core.spec.context import context_of
from tp_core.spec.schema import Spec


def label_of(wanted: Port, target: str, provided: Iterable[Port]) -> Port | None:
    """The provided labels for a target: those made for this target, else those of the same kind for all targets."""
    found = {port.of: port for port in provided if port.kind == "labels" and port.name == wanted.name}
    return found.get(target, found.get(""))


def labels_for(spec: Spec, target: Chosen[Any], provided: Iterable[Port]) -> list[Port]:
    """The provided labels of each kind that a target requires; empty if one of them is not provided."""
    provided = list(provided)
    required = fields(target.config, "requires", context_of(spec, target.config.stream or "", side="target"))
    found = [label_of(port, target.instance_name, provided) for port in required if port.kind == "labels"]
    there = [port for port in found if port is not None]
    return there if len(there) == len(found) else []
