"""Hook specifications: what a ``tp.v1.hooks`` module may listen to and change.

Hooks act only in runs whose spec lists them under ``train.hooks``. Mark methods with ``tp_core.hookimpl``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
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
    """The hooks of a run, in the order in which they happen."""

    @hookspec
    def tp_check(self, spec: Spec) -> Iterable[str] | None:
        """Give back messages for what is wrong with the spec; ``tp check`` and ``tp train`` report them."""

    @hookspec
    def tp_model_built(self, model: Model, spec: Spec) -> None:
        """The model is on its device, initialised and loaded; nothing wraps it yet."""

    @hookspec
    def tp_parameter_groups(self, model: nn.Module, groups: list[dict[str, Any]]) -> None:
        """Change the optimizer's parameter groups in place.

        A group has ``params`` and any options of the optimizer, as a spec writes them; those that it does not have are
        the optimizer's. With ``lr``, its learning rate is ``lr`` where the optimizer's is at its peak, and follows the
        schedule in the same proportion. Every trainable parameter is in one group. What the hook says holds on
        ``--resume`` too: a checkpoint keeps the state of each parameter by its name, and no options.
        """

    @hookspec
    def tp_train_start(self, trainer: Trainer) -> None:
        """Everything is ready, the first (or resumed) step is next."""

    @hookspec(firstresult=True)
    def tp_forward(self, model: Model, batch: Batch, denominators: Mapping[str, Tensor]) -> ModelOutput | None:
        """Compute the loss of a micro-batch in another way than ``model(batch, denominators)``, or add to it.

        The gradients are those of the ``loss`` of what is given back. A hook that adds to the loss is a wrapper
        (``@hookimpl(wrapper=True)``): ``output = yield`` is what it would be without the hook. Further passes over the
        batch are possible: ``model.encode``, then ``model.losses_of`` (R-Drop, for example). Divide sums by the
        denominators, which count the elements of the whole step.
        """
        raise NotImplementedError

    @hookspec
    def tp_further_passes(self, trainer: Trainer, batch: Batch) -> Iterable[AbstractContextManager[Any]] | None:
        """Give contexts in which the forward and backward passes of a micro-batch are repeated, once in each.

        Their gradients are added to those of the first pass; their losses and metrics are not logged. A context may
        change weights while it lasts, as adversarial training does (FGM), and finds the gradient so far with
        ``trainer.strategy.gradient(parameter)``. Every process gives as many contexts.
        """

    @hookspec
    def tp_step_end(self, trainer: Trainer, step: int) -> None:
        """An optimizer step is done. Reading a tensor's value here makes the device wait."""

    @hookspec
    def tp_evaluation_end(self, trainer: Trainer, step: int, metrics: dict[str, float]) -> None:
        """An evaluation during training is done."""

    @hookspec
    def tp_checkpoint_save(self, trainer: Trainer, state: dict[str, Any]) -> None:
        """Add what the hook must remember to ``state``: JSON values and tensors; a checkpoint has them on the CPU."""

    @hookspec
    def tp_checkpoint_load(self, trainer: Trainer, state: dict[str, Any]) -> None:
        """Take back what :meth:`tp_checkpoint_save` added."""

    @hookspec
    def tp_train_end(self, trainer: Trainer) -> None:
        """Training ended in the ordinary way and the model is exported."""

    @hookspec
    def tp_run_failed(self, trainer: Trainer, error: BaseException) -> None:
        """The run is ending with an error."""


class _Default:
    """The training without hooks."""

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
        TPError: a plugin implements a hook that there is not, or asks for an argument that the hook does not have.
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
    """The mistake in a plugin's hooks, in one line; empty if it is none of the usual ones."""
    known = [name for name in vars(Hooks) if name.startswith("tp_")]
    for name in dir(plugin):
        if manager.parse_hookimpl_opts(plugin, name) is None:
            continue
        if name not in known:
            return f"there is no hook '{name}'; {did_you_mean(name, known) or 'the hooks are ' + ', '.join(known)}"
        taken = set(inspect.signature(getattr(plugin, name)).parameters)
        given = [argument for argument in inspect.signature(getattr(Hooks, name)).parameters if argument != "self"]
        if not taken <= set(given):
            return f"{name} takes {', '.join(sorted(taken - set(given)))}, and is given {', '.join(given)}"
    return ""


def run_checks(manager: pluggy.PluginManager, spec: Spec) -> None:
    """Ask every hook what is wrong with a spec.

    Raises:
        TPError: with all their messages.
    """
    messages: list[str] = []
    for found in manager.hook.tp_check(spec=spec):
        given = [found] if isinstance(found, str) else list(found) if isinstance(found, Iterable) else [found]
        if not all(isinstance(message, str) for message in given):
            raise TPError(f"a hook's tp_check gave back {found!r:.80}; expected messages, or None")
        messages += given
    if messages:
        raise TPError("\n".join(messages))
