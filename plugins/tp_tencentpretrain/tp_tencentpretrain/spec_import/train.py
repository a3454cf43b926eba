"""The ``train:`` part of a spec for a command line of the original."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tp_core.spec.sections.train import TrainOptions
from tp_tencentpretrain.spec_import.given import Given
from tp_tencentpretrain.spec_import.strategy import strategy_of
from tp_tencentpretrain.spec_import.task import Task

_SCHEDULES = {
    "linear": "linear",
    "cosine": "cosine",
    "cosine_with_restarts": "cosine_restarts",
    "polynomial": "polynomial",
    "constant": "constant",
    "constant_with_warmup": "constant",
    "inverse_sqrt": "inverse_sqrt",
    "tri_stage": "tri_stage",
}


def _is_default(key: str, value: Any) -> bool:
    field = TrainOptions.model_fields.get(key)
    return field is not None and not field.is_required() and field.get_default(call_default_factory=True) == value


class TrainPart:
    """The training of a command line.

    Attributes:
        tree: the ``train:`` part of a spec.
        notes: sentences for the user.
    """

    def __init__(self, given: Given, fine_tuning: bool, task: Task | None, embeddings: Sequence[str]) -> None:
        self.notes: list[str] = []
        micro, processes = given.get("accumulation_steps", 1), given.get("world_size", 1)
        batch = given.get("batch_size", 32) * processes * micro
        self.tree: dict[str, Any] = {}
        if fine_tuning:
            self.tree["epochs"] = given.get("epochs_num", 3)
        else:
            self.total = given.get("total_steps", 100000)
            self.tree["steps"] = max(1, self.total // micro)
        self.tree["batch_size"] = batch
        if micro > 1:
            self.tree["accumulate"] = micro
        self.tree["clip_norm"] = None
        self.tree["optimizer"] = self._optimizer(given)
        self.tree["schedule"] = self._schedule(given, 1 if fine_tuning else micro, fine_tuning)
        self.tree["seed"] = given.get("seed", 7)
        if given.get("fp16"):
            self.tree["precision"] = "fp16"
        if strategy := strategy_of(given, self.tree.get("precision", "fp32"), self.notes):
            self.tree["strategy"] = strategy
        if given.get("deepspeed_checkpoint_activations"):
            self.tree["activation_checkpointing"] = True
        # The original counts micro-batches.
        if "report_steps" in given:
            self.tree["log_every"] = max(1, given["report_steps"] // micro)
        if not fine_tuning:
            self.tree["checkpoint_every"] = max(1, given.get("save_checkpoint_steps", 10000) // micro)
        if task is not None:
            self.tree |= task.evaluations(batch, self.tree["epochs"])
            if task.copies and "eval_steps" in given:
                self.tree["eval_every"] = given["eval_steps"]
        if given.get("use_adv"):
            self.tree["hooks"] = [self._adversary(given, embeddings)]
        self.tree = {key: value for key, value in self.tree.items() if not _is_default(key, value)}
        if processes > 1:
            self.notes.append(f"start {processes} processes: tp train SPEC --nproc {processes}")

    def _optimizer(self, given: Given) -> dict[str, Any]:
        rate = given.get("learning_rate", 2e-5)
        if given.get("optimizer", "adamw") == "adafactor":
            return {"adafactor": {"lr": rate}}
        # The original's AdamW corrects no bias.
        return {"adamw": {"lr": rate, "eps": 1e-6, "bias_correction": False}}

    def _schedule(self, given: Given, micro: int, fine_tuning: bool) -> Any:
        name, warmup = given.get("scheduler", "linear"), given.get("warmup", 0.1)
        if name == "constant":
            return "constant"
        if micro > 1 and name == "linear":
            return self._slowed(micro, warmup)
        if micro > 1:
            self.notes.append(
                f"with --accumulation_steps the original's schedule '{name}' only passes through 1/{micro} of its "
                "course; that of the spec is whole"
            )
        if warmup == 1:
            warmup = 0.999999  # a share; 1 is a number of steps here
        if micro == 1 and not fine_tuning and abs(self.total * warmup - round(self.total * warmup)) > 1e-6:
            warmup = int(self.total * warmup)  # a number of steps, rounded down as there
        options: dict[str, Any] = {"warmup": warmup}
        if name == "polynomial":
            options["final"] = round(1e-7 / given.get("learning_rate", 2e-5), 9)
        if name == "tri_stage":
            decay = min(given.get("lr_decay", 0.5), 1 - warmup)
            options |= {"hold": round(max(0.0, 1 - warmup - decay), 9), "decay": round(decay, 9)}
        return {_SCHEDULES[name]: options}

    def _slowed(self, micro: int, warmup: float) -> Any:
        """The linear schedule of an accumulation, which the original computes for micro-batches."""
        updates, peak = self.total // micro, int(self.total * warmup)
        if peak == updates == 0:
            return "linear"
        if peak >= updates:
            self.notes.append(
                f"with --accumulation_steps the original's learning rate rises until the end, to {updates / peak:.0%} "
                "of its peak; the spec does the same"
            )
            return {"constant": {"warmup": peak}}
        final = round((self.total - updates) / (self.total - peak), 6)
        self.notes.append(
            f"with --accumulation_steps the original's learning rate only falls to {final:.0%} of its peak, and warms "
            f"up {micro} times as long; the spec does the same"
        )
        return {"linear": {"warmup": peak, "final": final}}

    @staticmethod
    def _adversary(given: Given, embeddings: Sequence[str]) -> dict[str, Any]:
        """The hook that moves embeddings: all of them, as the original does."""
        parts = {"parts": [*embeddings]} if len(embeddings) > 1 else {}
        if given.get("adv_type", "fgm") == "fgm":
            return {"fgm": {"epsilon": given.get("fgm_epsilon", 1e-6), **parts}}
        names = {"epsilon": "pgd_epsilon", "alpha": "pgd_alpha", "steps": "pgd_k"}
        return {"pgd": {**{ours: given[theirs] for ours, theirs in names.items() if theirs in given}, **parts}}
