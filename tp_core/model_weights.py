"""The weights of a model: their memory, initial values, and loading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import Self

from tp_core.errors import CheckpointError
from tp_core.interfaces import Module
from tp_core.suggest import did_you_mean

#: Gives this process's part of whole values, in the layout of another tensor.
Part = Callable[[Tensor, Tensor], Tensor]


class ModelWeights(nn.Module):
    """A model whose weights have no values before :meth:`initialise` or :meth:`load_weights`.

    All weights of a module with weights of its own are drawn by its ``reset_parameters``.
    """

    def _tie(self) -> None:
        """Make modules use the weights that others share with them."""

    def materialise(self, device: torch.device | str = "cpu") -> Self:
        """Give a model built on the meta device memory, with values undefined."""
        self._apply(lambda tensor: _empty(tensor, device))  # type: ignore[no-untyped-call]
        self._tie()  # moving off the meta device makes new parameters
        return self

    def initialise(self, seed: int, part: Part | None = None) -> Self:
        """Draw all weights, as a function of the seed alone; the caller's random state is left as it was.

        Args:
            part: gives this process's part of whole values (:meth:`tp_core.Strategy.part`), where weights are cut. The
                values of each module are drawn as a whole first, so that they are the same however they are cut.
        """
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            self._reset(part)
            for module in self.modules():
                if isinstance(module, Module):
                    for weight, factor in module.residual_scales():
                        weight.mul_(factor)
        return self

    def _reset(self, part: Part | None) -> None:
        # A tied weight is drawn by its owner, the first module that holds it, and by no other.
        drawn: set[int] = set()
        for name, module in self.named_modules():
            own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
            reset = getattr(module, "reset_parameters", None)
            if reset is None:
                if own:
                    raise TypeError(f"{name} ({type(module).__name__}) has weights and no reset_parameters()")
                continue
            if part is not None:
                _reset_parts(module, part, drawn)
            else:
                kept = [(p, p.detach().clone()) for p in own if id(p) in drawn]
                reset()
                for parameter, values in kept:
                    parameter.copy_(values)
            drawn.update(id(p) for p in own)

    def weights(self) -> dict[str, Tensor]:
        """All values that a checkpoint must hold, by name; a shared tensor stands once."""
        found: dict[str, Tensor] = {name: p.detach() for name, p in self.named_parameters()}
        persistent = self.state_dict().keys()
        found.update({name: b for name, b in self.named_buffers() if name in persistent})
        return found

    def load_weights(
        self, tensors: Mapping[str, Tensor], optional: Iterable[str] = (), part: Part | None = None
    ) -> tuple[list[str], list[str]]:
        """Copy values in, by name.

        Args:
            tensors: name → whole values.
            optional: prefixes of names that may be missing; these keep their values.
            part: as of :meth:`initialise`.

        Returns:
            The names that were missing, and the names in ``tensors`` that the model does not have.

        Raises:
            CheckpointError: a weight that is missing, or whose shape differs.
        """
        own, missing = self.weights(), self.missing_weights(tensors, optional)
        new = frozenset(missing)
        with torch.no_grad():
            for name, value in own.items():
                if name not in new:
                    value.copy_(tensors[name] if part is None else part(tensors[name], value))
        self.fill_buffers()
        return missing, [name for name in tensors if name not in own]

    def missing_weights(
        self,
        tensors: Mapping[str, Tensor],
        optional: Iterable[str] = (),
        shapes: Mapping[str, torch.Size] = MappingProxyType({}),
    ) -> list[str]:
        """The names of the weights that :meth:`load_weights` would leave as they are.

        Of a model on the meta device, this is known before there is memory for it.

        Args:
            tensors: as of :meth:`load_weights`.
            optional: as of :meth:`load_weights`.
            shapes: shapes of weights of which the model does not have the whole.

        Raises:
            CheckpointError: a weight that is missing, or whose shape differs, and that is not optional.
        """
        missing, wrong = list[str](), list[str]()
        prefixes = tuple(optional)
        for name, value in self.weights().items():
            if name not in tensors:
                missing.append(name)
                if not (prefixes and name.startswith(prefixes)):
                    near = did_you_mean(name, tensors) if len(wrong) < 8 else ""
                    wrong.append(f"the weight '{name}' is missing" + (f"; {near}" if near else ""))
            elif tensors[name].shape != shapes.get(name, value.shape):
                found, expected = tuple(tensors[name].shape), tuple(shapes.get(name, value.shape))
                if prefixes and name.startswith(prefixes):
                    missing.append(name)
                    continue
                wrong.append(f"the weight '{name}' has shape {found}; this model's has {expected}")
        if wrong:
            more = f"\n  ... and {len(wrong) - 8} more" if len(wrong) > 8 else ""
            raise CheckpointError("the weights do not fit the model:\n  " + "\n  ".join(wrong[:8]) + more)
        return missing

    def fill_buffers(self) -> None:
        """Fill the buffers that are computed and not saved, without touching a parameter."""
        with torch.no_grad():
            for module in self.modules():
                computed = module._non_persistent_buffers_set
                if computed and not list(module.parameters(recurse=False)):
                    module.reset_parameters()  # type: ignore[operator]


def _empty(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Memory for a tensor on the meta device, or for this process's part of it."""
    if hasattr(tensor, "to_local"):  # a DTensor; importing it costs more than a second
        return torch.empty_like(tensor, device=device)
    # Not empty_like() of a plain one: off the meta device, it makes torch import its compiler's front end.
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=device)


def _reset_parts(module: nn.Module, part: Part, drawn: set[int]) -> None:
    """Draw the values of a module as a whole, and keep this process's part of them.

    Args:
        drawn: ids of tensors that another module has drawn; they keep their values.
    """
    tensors: list[tuple[dict[str, Any], str, Tensor]] = []
    for values in (module._parameters, module._buffers):
        held: dict[str, Any] = values
        tensors += [(held, name, tensor) for name, tensor in held.items() if tensor is not None]
    for held, name, tensor in tensors:
        whole = torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device)
        held[name] = nn.Parameter(whole, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else whole
    try:
        module.reset_parameters()  # type: ignore[operator]
        for held, name, tensor in tensors:
            if id(tensor) not in drawn:
                tensor.copy_(part(held[name].detach(), tensor))
    finally:
        for held, name, tensor in tensors:
            held[name] = tensor
