"""A model's modules as a tree with parameter counts, each shared weight counted once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import nn


@dataclass
class Branch:
    """One module of the tree.

    Attributes:
        name: name of the module's attribute; for a group of equal layers, the range of their names.
        type: name of the module's class.
        parameters: number of weights that the module and its children own; for a group of layers, that of one layer.
        count: number of equal layers that this branch stands for.
        tied: weights of the module that another module owns, name → path of the owner's weight.
        shared: path at which the same module occurs first; its weights are counted there. Empty if there is none.
        children: the modules inside.
    """

    name: str
    type: str
    parameters: int
    count: int = 1
    tied: dict[str, str] = field(default_factory=dict)
    shared: str = ""
    children: list[Branch] = field(default_factory=list)

    def same(self, other: Branch) -> bool:
        """True if the branches differ only in their names."""
        mine, theirs = ((b.type, b.parameters, b.tied, b.shared) for b in (self, other))
        return mine == theirs and self._shape() == other._shape()

    def _shape(self) -> list[Any]:
        return [(c.name, c.type, c.parameters, c.count, c._shape()) for c in self.children]

    def dump(self) -> dict[str, Any]:
        """Plain values for JSON."""
        parts: dict[str, Any] = {"name": self.name, "type": self.type, "parameters": self.parameters}
        if self.count > 1:
            parts["count"] = self.count
        if self.tied:
            parts["tied"] = self.tied
        if self.shared:
            parts["shared"] = self.shared
        return parts | ({"children": [c.dump() for c in self.children]} if self.children else {})

    def find(self, *names: str) -> Branch | None:
        """The branch at a path of names; None if there is none, as for modules without weights."""
        found: Branch | None = self
        for name in names:
            found = next((child for child in found.children if child.name == name), None) if found else None
        return found


def model_tree(model: nn.Module) -> Branch:
    """The tree of a model. A weight that several modules hold belongs to the first of them."""
    owners = {id(parameter): name for name, parameter in model.named_parameters()}
    return _branch(model, "model", "", owners, {})


def _branch(module: nn.Module, name: str, path: str, owners: dict[int, str], seen: dict[int, str]) -> Branch:
    branch = Branch(name, type(module).__name__, 0)
    if id(module) in seen:
        branch.shared = seen[id(module)] if any(True for _ in module.parameters()) else ""
        return branch
    seen[id(module)] = path
    for key, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
        full = f"{path}.{key}" if path else key
        if owners[id(parameter)] == full:
            branch.parameters += parameter.numel()
        else:
            branch.tied[key] = owners[id(parameter)]
    for key, child in module._modules.items():  # named_children() lists a module with two names only once
        if child is None:
            continue
        inner = _branch(child, key, f"{path}.{key}" if path else key, owners, seen)
        branch.parameters += inner.parameters
        if not (inner.parameters or inner.tied or inner.shared or inner.children):
            continue  # dropout and other modules without weights
        last = branch.children[-1] if branch.children else None
        if isinstance(module, nn.ModuleList) and last is not None and last.same(inner):
            last.count += 1
            last.name = f"{last.name.partition('-')[0]}-{key}"
        else:
            branch.children.append(inner)
    return branch


def render(branch: Branch, depth: int = 5) -> Iterator[str]:
    """The tree as aligned lines of text, down to a depth."""
    rows = list(_rows(branch, "", "", depth))
    width = max(len(left) for left, _, _ in rows)
    number = max(len(count) for _, count, _ in rows)
    for left, count, right in rows:
        yield f"{left:<{width}}  {count:>{number}}  {right}".rstrip()


def _rows(branch: Branch, lead: str, inner: str, depth: int) -> Iterator[tuple[str, str, str]]:
    times = f"{branch.count} × " if branch.count > 1 else ""
    notes = [branch.type, ", ".join(f"{key} tied to {owner}" for key, owner in branch.tied.items())]
    notes.append(f"shared with {branch.shared}" if branch.shared else "")
    yield f"{lead}{branch.name}", f"{times}{branch.parameters:,}", "; ".join(filter(None, notes))
    if depth == 0:
        return
    for number, child in enumerate(branch.children):
        last = number == len(branch.children) - 1
        yield from _rows(child, inner + ("└─ " if last else "├─ "), inner + ("   " if last else "│  "), depth - 1)
