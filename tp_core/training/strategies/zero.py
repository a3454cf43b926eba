"""ZeRO of DeepSpeed (Rajbhandari et al., 2020)."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from tp_core.artifacts.layout import STEM
from tp_core.artifacts.stored_tensors import forms_of
from tp_core.errors import TPError
from tp_core.files.tensor_paths import stored_at
from tp_core.interfaces import Sequence
from tp_core.model import Model
from tp_core.model_output import ModelOutput
from tp_core.modules.layers.equal_calls import equal_calls
from tp_core.options.optimizer import OptimizerConfig
from tp_core.processes.torch_group import TorchGroup
from tp_core.spec.sections.train import TrainOptions
from tp_core.training.optimizers.build import build_optimizer
from tp_core.training.strategies.base import Applied, Strategy
from tp_core.training.strategies.deepspeed_options import DeepSpeedConfig
from tp_core.training.strategies.loss_alone import LossAlone
from tp_core.training.strategies.snapshot import Snapshot
from tp_core.training.strategies.unused_weights import unused_weights
from tp_core.training.strategies.update import Update
from tp_core.training.strategies.zero_state import ZeroState

if TYPE_CHECKING:
    from tp_core.interfaces import Batch

_NO_GRADIENT = (
    "train.strategy.deepspeed gives no gradients to hooks in between (fgm, pgd and others of tp_further_passes); use "
    "ddp or fsdp"
)


class DeepSpeedStrategy(Strategy):
    """Processes divide the optimizer's state (stage 1), also gradients (2), also weights (3).

    Raises:
        TPError: DeepSpeed is not installed, or the environment variables are inconsistent.
    """

    engine: Any

    def __init__(self, config: DeepSpeedConfig) -> None:
        super().__init__()
        self.config, self.replicated = config, config.stage < 3
        self.processes = TorchGroup(config.start_timeout, "train.strategy.deepspeed.start_timeout", "deepspeed")
        self._cleanup = contextlib.ExitStack()
        self._used: set[str] = set()

    def setup(self, options: TrainOptions) -> None:
        super().setup(options)
        self._deepspeed = _imported(self.device)
        self._cleanup.enter_context(warnings.catch_warnings())
        if self.config.stage == 3:
            self._cleanup.enter_context(equal_calls())  # weights are joined at each call of a module
        # DeepSpeed calls functions of torch by their old names.
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.distributed")

    def teardown(self) -> None:
        self._cleanup.close()
        if hasattr(self, "engine"):
            self.engine.destroy()
        super().teardown()

    # -- the model ---------------------------------------------------------------------------------------------

    def place(self, model: Model, seed: int) -> None:
        """Every process first holds all weights; of stage 3, in the memory of the host."""
        device = torch.device("cpu") if self.config.stage == 3 else self.device
        model.materialise(device).initialise(seed)
        scalars = [name for name, weight in model.named_parameters() if not weight.dim()]
        if scalars and self.config.stage == 3:
            raise TPError(
                f"train.strategy.deepspeed.stage: 3 does not support weights without dimensions ('{scalars[0]}'); use "
                "stage 2, or fsdp"
            )

    def lower_weights(self, model: Model) -> None:
        """DeepSpeed keeps the masters itself."""

    def wrap(self, module: nn.Module) -> nn.Module:
        self._wrapped = LossAlone(module)
        return self._wrapped

    def make_optimizer(self, config: OptimizerConfig, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
        groups = list(groups)
        self._named = {name: weight for group in groups for name, weight in group["params"]}
        self._trained = list(self._named.values())
        self.optimizer = build_optimizer(config, groups)
        if self.config.stage == 3:
            _see_sequences()
        with _refusals_named(), _quietly(), _without_broadcast(self._deepspeed):
            made = self._deepspeed.initialize(
                model=self._wrapped, optimizer=self.optimizer, config=self.config.complete(self.options)
            )
        self.engine = made[0]
        if self.config.stage == 0:
            self._update = Update(self.optimizer, self, self.options.clip_norm, half=False)
        self._state = ZeroState(self.engine, self.optimizer, self._named, self.config.stage, self.processes)
        for module in self._wrapped.modules():  # of stage 3, the weights were on the host
            for name, buffer in module._buffers.items():
                module._buffers[name] = None if buffer is None else buffer.to(self.device)
        return self.optimizer

    # -- one step ----------------------------------------------------------------------------------------------

    def forward(self, module: nn.Module, batch: Batch, denominators: Mapping[str, Tensor] | None) -> ModelOutput:
        self.engine.train()
        loss = self.engine(batch, denominators)
        return replace(self._wrapped.take(), loss=loss)

    def forward_backward(
        self, module: nn.Module, batch: Batch, denominators: Mapping[str, Tensor] | None, last: bool
    ) -> ModelOutput:
        self.engine.set_gradient_accumulation_boundary(last)
        with self.autocast():
            output = self.forward(module, batch, denominators)
        self.backward(output.loss)
        return output

    def backward(self, loss: Tensor) -> None:
        # DeepSpeed exchanges gradients in the order in which they come: each process must have those of all weights.
        unused = unused_weights(loss, self._named)
        self._used.update(self._named.keys() - set(unused))
        if self.config.stage == 3:
            if self.processes.agree(bool(unused)):
                name = f"'{unused[0]}'" if unused else "a weight of another process"
                raise TPError(
                    "train.strategy.deepspeed.stage: 3 needs the gradients of all weights in each step, and this "
                    f"batch does not use {name}; use stage 2, or fsdp"
                )
        elif self.config.stage:
            for name in unused:
                loss = loss + 0.0 * self._named[name].reshape(-1)[:1].sum()
        self.engine.backward(loss * self.world_size if self.world_size > 1 else loss)

    def gradient(self, parameter: nn.Parameter) -> Tensor | None:
        raise TPError(_NO_GRADIENT)

    @contextlib.contextmanager
    def gradients_set_aside(self) -> Iterator[None]:
        raise TPError(_NO_GRADIENT)
        yield

    def _unused(self) -> list[str]:
        """The names of the weights that no process has used since the last call."""
        used = torch.tensor([float(name in self._used) for name in self._named])
        self._used.clear()
        found = self.processes.all_reduce(used).tolist()
        return [name for name, count in zip(self._named, found) if not count]

    def apply(self, lr: float) -> Applied:
        unused = self._unused()
        if self.config.stage == 0:
            for name in unused:
                self._named[name].grad = None
            found = super().apply(lr)
            self.engine.zero_grad()
            return found
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_factor"]
        held = self._state.hold(unused)
        with _quietly():
            self.engine.step()
        self._state.put_back(held)
        norm = torch.as_tensor(self.engine.get_global_grad_norm(), dtype=torch.float32, device=self.device)
        skipped = torch.tensor(float(not self.engine.was_step_applied()), device=self.device)
        return Applied(norm, skipped)

    # -- state -------------------------------------------------------------------------------------------------

    def weights(self, model: Model) -> dict[str, Tensor]:
        if not hasattr(self, "_state"):
            return super().weights(model)
        return self._state.weights(model)

    def whole(self, tensor: Tensor) -> Tensor:
        return self._state.whole(tensor)

    def snapshot(self, model: Model) -> Snapshot:
        weights = self.weights(model)
        optimizer, values = self._state.optimizer_state()
        return Snapshot(weights, optimizer, values, list(self._named), self.rank, whole=self.whole)

    def restore(self, model: Model, folder: Path, facts: Mapping[str, Any]) -> None:
        self.restore_weights(model, folder)
        self._state.load_optimizer(folder, facts)

    def restore_weights(self, model: Model, folder: Path) -> None:
        path = stored_at(folder, STEM)
        forms = {name: torch.empty(form.shape, device="meta") for name, form in forms_of(path).items()}
        self._state.need_weights(model, forms)
        self._state.load_weights(model, path)
        model.fill_buffers()


def _imported(device: torch.device) -> Any:
    """DeepSpeed, which neither compiles nor prints anything.

    Raises:
        TPError: it is not installed, or cannot be imported.
    """
    if device.type == "cpu":
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    try:
        import deepspeed
        import deepspeed.ops
    except Exception as error:  # it imports libraries of drivers
        message = f"train.strategy: deepspeed cannot be imported ({error}): pip install 'tp-core[deepspeed]'"
        raise TPError(message) from error
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    # Shared memory between processes of a CPU would be compiled at the first use.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    return deepspeed


@contextlib.contextmanager
def _refusals_named() -> Iterator[None]:
    """A context in which what DeepSpeed refuses is an error for the user.

    Raises:
        TPError: it does not know a key, or a library for NVMe is missing.
    """
    try:
        yield
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise TPError(f"train.strategy.deepspeed.config: zero_optimization: {found}") from error
    except RuntimeError as error:
        if "async_io" not in str(error):
            raise
        raise TPError(
            "train.strategy.deepspeed: nvme needs the library libaio with its headers (libaio-dev) and a compiler: "
            f"{str(error).splitlines()[0]}"
        ) from error


def _see_sequences() -> None:
    """Let DeepSpeed find tensors in sequences, too: before their gradients come, it joins weights for stage 3.

    By itself, it only looks into tuples, lists and dictionaries that modules get and return.
    """
    from deepspeed.runtime.zero import parameter_offload

    plain = parameter_offload.apply_to_tensors_only
    if getattr(plain, "sees_sequences", False):
        return

    def apply(function: Any, value: Any, warning_msg_fn: Any = None) -> Any:
        if not isinstance(value, Sequence):
            return plain(function, value, warning_msg_fn)
        tensors = {each.name: getattr(value, each.name) for each in fields(value)}
        given = {name: tensor for name, tensor in tensors.items() if isinstance(tensor, Tensor)}
        return replace(value, **{name: plain(function, tensor) for name, tensor in given.items()})

    apply.sees_sequences = True  # type: ignore[attr-defined]
    parameter_offload.apply_to_tensors_only = apply


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """A context without DeepSpeed's lines and torch's warnings about it."""
    with warnings.catch_warnings(), open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _without_broadcast(deepspeed: Any) -> Iterator[None]:
    """A context in which an engine does not copy the first process's weights, which fails for some.

    All processes have the same initial weights already.
    """
    engine = deepspeed.runtime.engine.DeepSpeedEngine
    before = engine._broadcast_model
    engine._broadcast_model = lambda self: None
    try:
        yield
    finally:
        engine._broadcast_model = before
