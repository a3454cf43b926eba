"""Hook specifications: the events that a ``tp.v1.hooks`` module can observe and change.

Hooks act only in runs whose spec lists them under ``train.hooks``. Mark methods with ``tp_core.hookimpl``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

from tp_core.errors import TPError
from tp_core.suggest import did_you_mean

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from tp_core.interfaces import Batch
    from tp_core.model import Model
    from tp_core.model_output import ModelOutput
    from tp_core.spec.schema import Spec
    from tp_core.training.trainer import Trainer

hookspec = pluggy.HookspecMarker("tp")
hookimpl = pluggy.HookimplMarker("tp")


class Hooks:
    """The hooks of a run, in chronological order.

    Every process of a run calls every hook. A hook of a trainer may communicate with the other processes, as
    ``trainer.strategy.whole`` and ``trainer.strategy.processes`` do, if each process does so in the same order;
    ``tp_run_failed`` must not. A process that fails in between leaves the others waiting until ``train.timeout``.
    """

    @hookspec
    def tp_check(self, spec: Spec) -> Iterable[str] | None:
        """Return messages about problems of the spec; ``tp check`` and ``tp train`` report them."""

    @hookspec
    def tp_model_built(self, model: Model, spec: Spec) -> None:
        """Called when the model is on its device, initialised and loaded, but not wrapped yet."""

    @hookspec
    def tp_parameter_groups(self, model: nn.Module, groups: list[dict[str, Any]]) -> None:
        """Change the optimizer's parameter groups in place.

        A group has ``params`` and any options of the optimizer, as in a spec; missing options default to the
        optimizer's. ``lr`` is the group's peak learning rate; it follows the same schedule as the optimizer's. Every
        trainable parameter is in exactly one group. The hook also applies on ``--resume``: a checkpoint stores the
        state of each parameter by name, but no options.
        """

    @hookspec
    def tp_train_start(self, trainer: Trainer) -> None:
        """Called when everything is ready, before the first (or first resumed) step."""

    @hookspec(firstresult=True)
    def tp_forward(self, model: Model, batch: Batch, denominators: Mapping[str, Tensor]) -> ModelOutput | None:
        """Compute the loss of a micro-batch differently than ``model(batch, denominators)``, or add to it.

        Gradients are those of the returned output's ``loss``. A hook that adds to the loss is a wrapper
        (``@hookimpl(wrapper=True)``): ``output = yield`` returns the output without the hook. Further passes over the
        batch are possible with ``model.encode`` and ``model.losses_of`` (R-Drop, for example). Divide sums by the
        denominators, which count the elements of the whole step.
        """
        raise NotImplementedError

    @hookspec
    def tp_further_passes(
        self, trainer: Trainer, batches: Sequence[Batch]
    ) -> Iterable[AbstractContextManager[Any]] | None:
        """Return contexts in which the forward and backward passes of a step are repeated.

        The first passes are those of all micro-batches of the step, without a context. In each context, all
        micro-batches are repeated. Gradients are added; losses and metrics of repeated passes are not logged. A context
        may change weights temporarily, as in adversarial training (``fgm``). At its start,
        ``trainer.strategy.gradient(parameter)`` is the gradient of all passes before, over all processes, so that
        results do not depend on ``accumulate``. A context whose gradients must not be added enters
        ``trainer.strategy.gradients_set_aside()`` (``pgd``); the last context adds its gradients. Every process must
        return the same number of contexts.

        Args:
            batches: micro-batches of this process, on the device.
        """

    @hookspec
    def tp_step_end(self, trainer: Trainer, step: int) -> None:
        """Called after an optimizer step. Reading a tensor's value here makes the device wait."""

    @hookspec
    def tp_evaluation_end(self, trainer: Trainer, step: int, metrics: dict[str, float]) -> None:
        """Called after an evaluation during training."""

    @hookspec
    def tp_checkpoint_save(self, trainer: Trainer, state: dict[str, Any]) -> None:
        """Add the hook's state to ``state``: JSON values and tensors; a checkpoint stores tensors on the CPU."""

    @hookspec
    def tp_checkpoint_load(self, trainer: Trainer, state: dict[str, Any]) -> None:
        """Restore the state that :meth:`tp_checkpoint_save` added."""

    @hookspec
    def tp_train_end(self, trainer: Trainer) -> None:
        """Called after a regular end of the training, when the model is exported."""

    @hookspec
    def tp_run_failed(self, trainer: Trainer, error: BaseException) -> None:
        """Called when the run ends with an error."""


class _Default:
    """Default implementations of hooks."""

    @hookimpl
    def tp_forward(self, model: Model, batch: Batch, denominators: Mapping[str, Tensor]) -> ModelOutput:
        output: ModelOutput = model(batch, denominators)
        return output


class HookManager(pluggy.PluginManager):
    """The hooks of a run."""

    def __init__(self) -> None:
        super().__init__("tp")
        self.add_hookspecs(Hooks)
        self.register(_Default(), name=_DEFAULT)

    def implements(self, name: str) -> bool:
        """True if a hook of the run implements the specification of this name."""
        return any(each.plugin_name != _DEFAULT for each in getattr(self.hook, name).get_hookimpls())


#: Name of the plugin that does what is done without hooks.
_DEFAULT = "tp"


def hook_manager(plugins: Iterable[tuple[str, object]] = ()) -> HookManager:
    """A plugin manager with our specifications and the given (name, plugin) pairs registered.

    Raises:
        TPError: a plugin implements an unknown hook, or a hook with an unknown argument.
    """
    manager = HookManager()
    for name, plugin in plugins:
        try:
            manager.register(plugin, name=name)
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise TPError(
                f"train.hooks: '{name}' does not fit the hooks of tp: {_misfit(manager, plugin) or error}"
            ) from error
    return manager


def _misfit(manager: pluggy.PluginManager, plugin: object) -> str:
    """A one-line description of the mistake in a plugin's hooks; empty if it is not a common one."""
    known = [name for name in vars(Hooks) if name.startswith("tp_")]
    for name in dir(plugin):
        if manager.parse_hookimpl_opts(plugin, name) is None:
            continue
        if name not in known:
            return f"there is no hook '{name}'; {did_you_mean(name, known) or 'the hooks are ' + ', '.join(known)}"
        taken = set(inspect.signature(getattr(plugin, name)).parameters)
        given = [argument for argument in inspect.signature(getattr(Hooks, name)).parameters if argument != "self"]
        if not taken <= set(given):
            return f"{name}: unknown argument {', '.join(sorted(taken - set(given)))}; available: {', '.join(given)}"
    return ""


def run_checks(manager: pluggy.PluginManager, spec: Spec) -> None:
    """Call the ``tp_check`` hooks for a spec.

    Raises:
        TPError: the message has all their messages.
    """
    messages: list[str] = []
    for found in manager.hook.tp_check(spec=spec):
        given = [found] if isinstance(found, str) else list(found) if isinstance(found, Iterable) else [found]
        if not all(isinstance(message, str) for message in given):
            raise TPError(f"a hook's tp_check gave back {found!r:.80}; expected messages, or None")
        messages += given
    if messages:
        raise TPError("\n".join(messages))
