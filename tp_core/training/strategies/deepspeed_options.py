"""Options of the strategy ``deepspeed``. Torch-free."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.strategy import StrategyConfig
from tp_core.suggest import did_you_mean

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec
    from tp_core.spec.sections.train import TrainOptions

Place = Literal["none", "cpu", "nvme"]

#: Keys of DeepSpeed's configuration that stand for parts of a spec, which are written there instead.
_ELSEWHERE = {
    "optimizer": "train.optimizer",
    "scheduler": "train.schedule",
    "fp16": "train.precision",
    "amp": "train.precision",
    "bf16": "train.weight_precision",
    "torch_autocast": "train.precision",
    "data_types": "train.weight_precision",
    "checkpoint": "train.checkpoint_every",
    "tensorboard": "train.loggers",
    "wandb": "train.loggers",
    "csv_monitor": "train.loggers",
    "comet": "train.loggers",
    "curriculum_learning": "data",
    "data_efficiency": "data",
    "elasticity": "tp train --nproc or torchrun",
    "pipeline": "another strategy",
    "tensor_parallel": "train.strategy.fsdp.tensor_parallel",
    "sequence_parallel_size": "another strategy",
    "train_micro_batch_size_per_gpu": "train.batch_size and train.accumulate",
    "zero_allow_untested_optimizer": "train.optimizer",
    "zero_force_ds_cpu_optimizer": "train.optimizer",
    "gradient_allreduce_op": "another strategy",
    "prescale_gradients": "another strategy",
    "gradient_predivide_factor": "another strategy",
}

#: Other keys of DeepSpeed's configuration.
_KNOWN = (
    *("train_batch_size", "gradient_accumulation_steps", "gradient_clipping", "zero_optimization"),
    *("communication_data_type", "seq_parallel_communication_data_type", "sparse_gradients", "steps_per_print"),
    *("wall_clock_breakdown", "dump_state", "memory_breakdown", "comms_logger", "flops_profiler", "aio", "autotuning"),
    *(
        "activation_checkpointing",
        "sparse_attention",
        "disable_allgather",
        "graph_harvesting",
        "use_node_local_storage",
    ),
    *("seed_layers", "timers", "monitor_config", "compile", "hybrid_engine", "compression_training", "eigenvalue"),
    *("progressive_layer_drop", "zero_optimization.offload_optimizer", "zero_optimization.offload_param"),
)


class DeepSpeedConfig(StrategyConfig):
    """ZeRO of DeepSpeed (``pip install 'tp-core[deepspeed]'``): processes divide optimizer state, gradients, weights.

    Its configuration is derived from the spec (Rajbhandari et al., 2020).
    """

    implementation: ClassVar[str] = "tp_core.training.strategies.zero:DeepSpeedStrategy"

    stage: Literal[0, 1, 2, 3] = Field(
        2, description="what is divided: 0 nothing, 1 the optimizer's state, 2 also gradients, 3 also weights"
    )
    offload_optimizer: Place = Field("none", description="place of the optimizer's state and update, from stage 1 on")
    offload_weights: Place = Field("none", description="place of the divided weights, for stage 3")
    nvme_path: str | None = Field(None, description="folder on a local NVMe disk, for nvme")
    config: dict[str, Any] = Field(
        {}, description="further keys of DeepSpeed's configuration, such as zero_optimization: {overlap_comm: false}"
    )
    start_timeout: float = Field(
        300, gt=0, le=86400, description="maximum seconds to wait for all processes at the start"
    )

    def check_training(self, spec: "Spec") -> Iterator[Problem]:
        options = spec.train.options
        if self.offload_optimizer != "none" and self.stage == 0:
            yield Problem("offload_optimizer", f"is {self.offload_optimizer}, and needs stage 1, 2 or 3")
        if self.offload_weights != "none" and self.stage < 3:
            yield Problem("offload_weights", f"is {self.offload_weights}, and needs stage 3, but stage is {self.stage}")
        if self.nvme_path is None and "nvme" in (self.offload_optimizer, self.offload_weights):
            yield Problem("nvme_path", "is needed for nvme: a folder on a local NVMe disk")
        if options.precision == "fp16":
            yield Problem("", "does not support train.precision: fp16 here; use bf16, or another strategy")
        if options.weight_precision == "bf16" and self.stage == 0:
            yield Problem("stage", "is 0, which does not go with train.weight_precision: bf16; use 1, or ddp")
        if not spec.train.optimizer.config.elementwise and self.stage:
            chosen = spec.train.optimizer.name
            yield Problem("stage", f"is {self.stage}, which cuts weights into rows, and {chosen} needs whole matrices")
        if options.compile:
            yield Problem("", "does not go with train.compile; use another strategy")
        yield from self._contradictions(options)

    def _contradictions(self, options: "TrainOptions") -> Iterator[Problem]:
        """Keys of :attr:`config` that say something else than the spec."""
        for key in self.config:
            if key not in _ELSEWHERE and key not in _KNOWN:
                near = did_you_mean(key, _KNOWN)
                yield Problem(
                    "config", f"has '{key}', which is no key of DeepSpeed's configuration; {near}".rstrip("; ")
                )
        zero = self.config.get("zero_optimization", {})
        for path, value in (
            ("zero_optimization", zero),
            *((f"zero_optimization.{key}", zero[key]) for key in _OFFLOADS if isinstance(zero, dict) and key in zero),
        ):
            if not isinstance(value, dict):
                yield Problem("config", f"has {path}: {value}; expected a mapping of options")
                return
        for key, place in _ELSEWHERE.items():
            if key in self.config:
                yield Problem("config", f"has '{key}', which the spec decides at {place}; write it there")
        for path, (value, place) in self.derived(options).items():
            given: Any = self.config
            for part in path.split("."):
                given = given.get(part, _UNSET) if isinstance(given, dict) else _UNSET
            if given is not _UNSET and given != value:
                yield Problem("config", f"has {path}: {given}, and {place} says {value}; leave {path} out")

    def derived(self, options: "TrainOptions") -> dict[str, tuple[Any, str]]:
        """The keys of DeepSpeed's configuration that follow from the spec: path → value, and its place in the spec."""
        here = "train.strategy.deepspeed"
        found: dict[str, tuple[Any, str]] = {
            "train_batch_size": (options.batch_size, "train.batch_size"),
            "gradient_accumulation_steps": (options.accumulate, "train.accumulate"),
            "gradient_clipping": (options.clip_norm or 0.0, "train.clip_norm"),
            "zero_optimization.stage": (self.stage, f"{here}.stage"),
        }
        for key, place, option in (
            ("offload_optimizer", self.offload_optimizer, "offload_optimizer"),
            ("offload_param", self.offload_weights, "offload_weights"),
        ):
            if place != "none" or key in self.config.get("zero_optimization", {}):
                found[f"zero_optimization.{key}.device"] = (place, f"{here}.{option}")
            if place == "nvme":
                found[f"zero_optimization.{key}.nvme_path"] = (self.nvme_path, f"{here}.nvme_path")
        return found

    def complete(self, options: "TrainOptions") -> dict[str, Any]:
        """DeepSpeed's configuration. The strategy counts micro-batches; for DeepSpeed, a step has one."""
        made: dict[str, Any] = _copied(self.config)
        for path, (value, _) in self.derived(options).items():
            _put(made, path, value)
        del made["train_batch_size"]
        made |= {"train_micro_batch_size_per_gpu": 1, "gradient_accumulation_steps": 1}
        made |= {"zero_allow_untested_optimizer": True, "zero_force_ds_cpu_optimizer": False}
        if self.stage == 3:
            # The default changes torch's linear layers for the whole process.
            made["zero_optimization"].setdefault("memory_efficient_linear", False)
        if options.precision == "bf16":
            made["torch_autocast"] = {"enabled": True, "dtype": "bfloat16"}
        if options.weight_precision == "bf16":
            made["bf16"] = {"enabled": True}
        return made


_OFFLOADS = ("offload_optimizer", "offload_param")

_UNSET = object()


def _copied(value: Any) -> Any:
    return {key: _copied(each) for key, each in value.items()} if isinstance(value, dict) else value


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for part in parents:
        tree = tree.setdefault(part, {})
    tree[last] = value
