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
        name: its attribute's name; of layers that are alike, the range of their names.
        type: its class.
        parameters: elements of the weights that it and its children own, of one of the ``count`` layers.
        count: number of layers that are alike and shown once.
        tied: own weights that another module owns, name → the owner's weight.
        children: the modules inside.
    """

    name: str
    type: str
    parameters: int
    count: int = 1
    tied: dict[str, str] = field(default_factory=dict)
    children: list[Branch] = field(default_factory=list)

    def same(self, other: Branch) -> bool:
        """Whether the other branch differs in nothing but its name."""
        alike = (self.type, self.parameters, self.tied) == (other.type, other.parameters, other.tied)
        return alike and self._shape() == other._shape()

    def _shape(self) -> list[Any]:
        return [(c.name, c.type, c.parameters, c.count, c._shape()) for c in self.children]

    def dump(self) -> dict[str, Any]:
        """Plain values for JSON."""
        parts: dict[str, Any] = {"name": self.name, "type": self.type, "parameters": self.parameters}
        if self.count > 1:
            parts["count"] = self.count
        if self.tied:
            parts["tied"] = self.tied
        return parts | ({"children": [c.dump() for c in self.children]} if self.children else {})


def model_tree(model: nn.Module) -> Branch:
    """The tree of a model. A weight that several modules hold belongs to the first of them."""
    owners = {id(parameter): name for name, parameter in model.named_parameters()}
    return _branch(model, "model", "", owners, set())


def _branch(module: nn.Module, name: str, path: str, owners: dict[int, str], seen: set[int]) -> Branch:
    branch = Branch(name, type(module).__name__, 0)
    for key, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
        full = f"{path}.{key}" if path else key
        if owners[id(parameter)] == full:
            branch.parameters += parameter.numel()
        else:
            branch.tied[key] = owners[id(parameter)]
    if id(module) in seen:  # a module that stands in two places; its weights are tied to the first
        return branch
    seen.add(id(module))
    for key, child in module.named_children():
        inner = _branch(child, key, f"{path}.{key}" if path else key, owners, seen)
        branch.parameters += inner.parameters
        if not (inner.parameters or inner.tied or inner.children):
            continue  # dropout and other modules without weights
        last = branch.children[-1] if branch.children else None
        if isinstance(module, nn.ModuleList) and last is not None and last.same(inner):
            last.count += 1
            last.name = f"{last.name.partition('-')[0]}-{key}"
        else:
            branch.children.append(inner)
    return branch


def render(branch: Branch, depth: int = 5) -> Iterator[str]:
    """Lines of the tree, aligned, to a depth."""
    rows = list(_rows(branch, "", "", depth))
    width = max(len(left) for left, _, _ in rows)
    number = max(len(count) for _, count, _ in rows)
    for left, count, right in rows:
        yield f"{left:<{width}}  {count:>{number}}  {right}".rstrip()


def _rows(branch: Branch, lead: str, inner: str, depth: int) -> Iterator[tuple[str, str, str]]:
    times = f"{branch.count} × " if branch.count > 1 else ""
    tied = ", ".join(f"{key} tied to {owner}" for key, owner in branch.tied.items())
    notes = branch.type + (f"; {tied}" if tied else "")
    yield f"{lead}{branch.name}", f"{times}{branch.parameters:,}", notes
    if depth == 0:
        return
    for number, child in enumerate(branch.children):
        last = number == len(branch.children) - 1
        yield from _rows(child, inner + ("└─ " if last else "├─ "), inner + ("   " if last else "│  "), depth - 1)
