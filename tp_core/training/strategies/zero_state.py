"""Weights and optimizer state of an engine of DeepSpeed, in the form of checkpoints: by weight, whole.

In stages 1 to 3, the optimizer updates flat tensors, each with the parts of many weights. DeepSpeed's functions find
the part of a weight in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tp_core.artifacts.layout import OPTIMIZER
from tp_core.artifacts.stored_tensors import forms_of, read_tensors
from tp_core.files.tensor_paths import stored_at
from tp_core.model import Model
from tp_core.processes.group import ProcessGroup
from tp_core.training.strategies.snapshot import optimizer_tensors

#: Ends what a process holds, which may be nothing; every process then takes part in :meth:`ZeroState.put_back`.
_END = (torch.empty(0), torch.empty(0))


class ZeroState:
    """Access to the state of an engine, by name of the weight. Every process calls the same methods.

    Args:
        named: the trained weights by name.
    """

    def __init__(
        self,
        engine: Any,
        optimizer: torch.optim.Optimizer,
        named: Mapping[str, nn.Parameter],
        stage: int,
        processes: ProcessGroup,
    ) -> None:
        self.zero, self.optimizer, self.named, self.stage = engine.optimizer, optimizer, named, stage
        self.processes = processes
        #: Tensors without values that stand for those that must be joined, and the functions that do so.
        self._joined: dict[int, tuple[Tensor, Callable[[], Tensor]]] = {}

    def _to_join(self, shape: torch.Size, dtype: torch.dtype, join: Callable[[], Tensor]) -> Tensor:
        form = torch.empty(shape, dtype=dtype, device="meta")
        self._joined[id(form)] = form, join
        return form

    def whole(self, tensor: Tensor) -> Tensor:
        """The values of a tensor that :meth:`weights` or :meth:`optimizer_state` gave."""
        found = self._joined.pop(id(tensor), None)
        return tensor if found is None else found[1]()

    # -- weights -----------------------------------------------------------------------------------------------

    def weights(self, model: Model) -> dict[str, Tensor]:
        """The weights by name; on the meta device, if :meth:`whole` joins them."""
        self._joined.clear()
        found: dict[str, Tensor] = dict(model.weights())
        for name, weight in model.named_parameters():
            if self._is_divided(name, weight):
                found[name] = self._to_join(_shape(weight), torch.float32, lambda w=weight, n=name: self._weight(n, w))  # type: ignore[misc]
        return found

    def _is_divided(self, name: str, weight: nn.Parameter) -> bool:
        """True if the weight in fp32 must be joined: of stage 3, or if DeepSpeed keeps masters."""
        return self.stage == 3 or (self.stage > 0 and name in self.named and weight.dtype != torch.float32)

    def _weight(self, name: str, weight: nn.Parameter) -> Tensor:
        from deepspeed.utils import safe_get_full_fp32_param

        if name in self.named:
            found: Tensor = safe_get_full_fp32_param(weight).detach().clone()
            return found
        with _gathered([weight]):
            return weight.detach().clone()

    def need_weights(self, model: Model, forms: Mapping[str, Tensor]) -> None:
        """Check that a checkpoint has the weights of the model.

        Raises:
            CheckpointError: it has not.
        """
        model.missing_weights(forms, shapes={name: _shape(weight) for name, weight in model.named_parameters()})

    @torch.no_grad()
    def load_weights(self, model: Model, path: Path) -> None:
        """Load the weights of a checkpoint, one after the other."""
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_local_fp32_param

        parameters = dict(model.named_parameters())
        for name, own in model.weights().items():
            values = read_tensors(path, [name])[name]
            weight = parameters.get(name)
            if weight is None or self.stage == 0 or (name not in self.named and self.stage < 3):
                own.copy_(values)
            elif name not in self.named:
                with _gathered([weight], modifier=0):
                    weight.copy_(values)
            elif self.stage == 3:
                safe_set_local_fp32_param(weight, self._part(weight, values.to(weight.device)))
            else:
                safe_set_full_fp32_param(weight, values.to(weight.device))
        if self.stage in (1, 2):
            self.zero.update_lp_params()
        elif self.stage == 3:
            for number in range(len(self.zero.fp16_groups)):
                self.zero._reassign_or_swap_out_partitioned_parameters(number)
            if kept := self.zero.persistent_parameters:
                kept[0].all_gather(kept)

    def _part(self, weight: Any, values: Tensor) -> Tensor:
        """This process's part of a weight of stage 3, which is padded to equal parts."""
        size, count = weight.ds_tensor.ds_numel, self.processes.world_size
        flat = torch.zeros(size * count, dtype=values.dtype, device=values.device)
        flat[: values.numel()] = values.flatten()
        return flat.narrow(0, size * self.processes.rank, size)

    # -- the optimizer -----------------------------------------------------------------------------------------

    def optimizer_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and other values of the optimizer's state, by ``<weight>/<value>``."""
        if self.stage == 0:
            return optimizer_tensors(self.optimizer)
        self._link()
        tensors: dict[str, Tensor] = {}
        values: dict[str, Any] = {}
        for name, weight in self.named.items():
            flat = self._flat(weight)
            for key, value in self.optimizer.state.get(flat, {}).items():
                if not isinstance(value, Tensor):
                    values[f"{name}/{key}"] = value
                elif value.shape == flat.shape:
                    join = lambda w=weight, k=key: self._state_of(w, k)  # noqa: E731
                    tensors[f"{name}/{key}"] = self._to_join(_shape(weight), value.dtype, join)
                else:
                    tensors[f"{name}/{key}"] = value
        return tensors, values

    def _state_of(self, weight: nn.Parameter, key: str) -> Tensor:
        from deepspeed.utils import safe_get_full_optimizer_state

        found: Tensor = safe_get_full_optimizer_state(weight, key).detach().clone()
        return found

    @torch.no_grad()
    def load_optimizer(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """Load the optimizer's state of a checkpoint, one tensor after the other.

        Raises:
            ValueError: other weights were trained.
        """
        from deepspeed.utils import safe_set_full_optimizer_state, safe_set_local_optimizer_state

        self._need_same(facts["trained"])
        path = stored_at(folder, OPTIMIZER)
        forms = forms_of(path)
        keys = [*forms, *facts["values"]]
        for name, weight in self.named.items():
            own = [key for key in keys if key.rpartition("/")[0] == name]
            if not own:
                continue
            flat = self._flat(weight)
            state = self.optimizer.state.setdefault(flat, {})
            for key in own:
                short = key.rpartition("/")[2]
                if key not in forms:
                    state[short] = facts["values"][key]
                elif self.stage == 0 or forms[key].shape != _shape(weight) or not forms[key].shape:
                    device = "cpu" if short == "step" and not self._steps_on_device() else flat.device
                    state[short] = read_tensors(path, [key])[key].to(device)
                elif short not in state:
                    state[short] = torch.zeros_like(flat, dtype=forms[key].dtype)
        if self.stage == 0:
            return
        self._link()
        for name, weight in self.named.items():
            for key in (each for each in forms if each.rpartition("/")[0] == name):
                if forms[key].shape != _shape(weight) or not forms[key].shape:
                    continue
                short, values = key.rpartition("/")[2], read_tensors(path, [key])[key].to(weight.device)
                if self.stage == 3:
                    safe_set_local_optimizer_state(weight, self._part(weight, values), short)
                else:
                    safe_set_full_optimizer_state(weight, values, short)

    def _need_same(self, trained: list[str]) -> None:
        for names, others, message in (
            (self.named, trained, "is trained now, and was not before"),
            (trained, self.named, "was trained before, and is not now"),
        ):
            for name in names:
                if name not in others:
                    raise ValueError(f"the parameter '{name}' {message}")

    def _steps_on_device(self) -> bool:
        return all(group.get("capturable") or group.get("fused") for group in self.optimizer.param_groups)

    def hold(self, names: list[str]) -> list[tuple[Tensor, Tensor]]:
        """Copies of weights and of their state, for :meth:`put_back` after an update that must not change them.

        Stage 3 refuses steps that do not use all weights.
        """
        held: list[tuple[Tensor, Tensor]] = []
        if names:
            self._link()
        for name in names:
            mapping: Any = getattr(self.named[name], "_hp_mapping", None)  # None if others have all parts
            if mapping is not None:
                state = mapping.optim_fragment or {}
                parts = (mapping.get_hp_fragment().data, *state.values())
                held += [(part, part.clone()) for part in parts]
        return held if not names else [*held, _END]

    def put_back(self, held: list[tuple[Tensor, Tensor]]) -> None:
        """Undo an update of what :meth:`hold` has copied; every process calls this."""
        if not held:
            return
        for part, before in held[:-1]:
            part.copy_(before)
        self.zero.update_lp_params()

    def _link(self) -> None:
        """Let DeepSpeed find the state of all groups; by itself, it looks after the first one has some."""
        if self.stage in (1, 2):
            self.zero._hp_optimizer_states_linked = False
            self.zero._lazy_init_hp_params_optimizer_state()

    def _flat(self, weight: nn.Parameter) -> Any:
        """The tensor of the optimizer that has (this process's part of) a weight."""
        if self.stage == 0:
            return weight
        if self.stage == 3:
            return self.zero.fp32_partitioned_groups_flat[self.zero.grad_position[self.zero.get_param_id(weight)][0]]
        number = next(n for n, group in enumerate(self.zero.bit16_groups) if any(each is weight for each in group))
        return self.zero.single_partition_of_fp32_groups[number]


def _shape(weight: Any) -> torch.Size:
    """The shape of a whole weight; a divided one of stage 3 has none of its own."""
    return torch.Size(getattr(weight, "ds_shape", weight.shape))


def _gathered(weights: list[nn.Parameter], modifier: int | None = None) -> Any:
    import deepspeed

    return deepspeed.zero.GatheredParameters(weights, modifier_rank=modifier)
