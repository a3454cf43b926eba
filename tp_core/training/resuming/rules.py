"""For every option of a spec, a rule that says if its value may change on resume. Torch-free."""

from __future__ import annotations

from typing import NamedTuple

#: The option does not affect the contents of a checkpoint. It may change.
FREE = "free"

#: The option affects evaluations. It may change freely without early stopping, otherwise only if allowed.
EVALUATION = "evaluation"

#: The option affects the training. It may change if the user allows it; the result then differs from a single run.
ALLOWED = "allowed"

#: The contents of a checkpoint would get another meaning. The option can never change.
NEVER = "never"


class Rule(NamedTuple):
    """The rule for an option whose value differs from the checkpoint's.

    Attributes:
        kind: ``FREE``, ``EVALUATION``, ``ALLOWED`` or ``NEVER``.
        note: effect of a change, or the reason why a change is impossible.
    """

    kind: str
    note: str = ""


_EVALUATIONS = Rule(EVALUATION, "evaluations before and after are not comparable; the best one is determined anew")
_LENGTH = Rule(ALLOWED, "the schedule follows the new length; a warm-up given as a fraction keeps its number of steps")
_ORDER = "it determines the order of samples: some would occur twice in an epoch, others not at all"
_PREPARED = "it determines the data that the run was trained on"
_WEIGHTS = "the weights and the optimizer state belong to this model"

#: Rules by option path; ``*`` stands for any name. The longest matching path counts. A rule includes all options below.
RULES = {
    "tp": Rule(FREE),
    "name": Rule(FREE),
    "init_from": Rule(FREE, "it has no effect: the run continues from its checkpoint"),
    "require_init": Rule(FREE),
    "inference": Rule(FREE),
    "model": Rule(NEVER, _WEIGHTS),
    "model.target.*.metrics": Rule(FREE),  # metrics do not affect the training
    "model.target.*.class_counts": Rule(FREE),  # counted in the data, which are compared when they are read
    "data.tokenizer": Rule(NEVER, _PREPARED),
    "data.target_tokenizer": Rule(NEVER, _PREPARED),
    "data.processor": Rule(NEVER, _PREPARED),
    "data.train": Rule(FREE),  # the path may change; the data are compared when they are read
    "data.eval": Rule(FREE),  # likewise
    "data.labels": Rule(NEVER, _PREPARED),
    "data.columns": Rule(NEVER, _PREPARED),
    "data.folder_labels": Rule(NEVER, _PREPARED),
    "data.on_bad_record": Rule(FREE),  # the number of instances is compared
    "data.bucket": Rule(NEVER, _ORDER),
    "data.balance": Rule(NEVER, _ORDER),
    "data.cache": Rule(FREE),
    "data.sets": Rule(NEVER, "it determines the order of the data sets"),
    "data.sets.*.train": Rule(FREE),
    "data.sets.*.eval": Rule(FREE),
    "data.sets.*.on_bad_record": Rule(FREE),
    "data.sets.*.columns": Rule(NEVER, _PREPARED),
    "data.sets.*.labels": Rule(NEVER, _PREPARED),
    "data.sets.*.folder_labels": Rule(NEVER, _PREPARED),
    "data.sets.*.processor": Rule(NEVER, _PREPARED),
    "data.sets.*.bucket": Rule(NEVER, _ORDER),
    "data.sets.*.balance": Rule(NEVER, _ORDER),
    "data.sets.*.share": Rule(NEVER, _ORDER),
    "data.sets.*.targets": Rule(NEVER, _WEIGHTS),
    "data.sets.*.streams": Rule(NEVER, _WEIGHTS),
    "train.steps": _LENGTH,
    "train.epochs": _LENGTH,
    "train.batch_size": Rule(ALLOWED, "training continues after the samples already seen; epochs stay complete"),
    "train.accumulate": Rule(ALLOWED, "rounding and interactions within a micro-batch differ"),
    "train.seed": Rule(NEVER, _ORDER),
    "train.precision": Rule(ALLOWED, "later steps use it; weights and optimizer state stay in fp32"),
    "train.weight_precision": Rule(ALLOWED, "later steps use it; saved weights are in fp32"),
    "train.device": Rule(ALLOWED, "rounding and dropout differ"),
    "train.compile": Rule(ALLOWED, "rounding and dropout differ"),
    "train.clip_norm": Rule(ALLOWED, "applies to the gradients of later steps"),
    "train.activation_checkpointing": Rule(FREE),
    "train.log_every": Rule(FREE),
    "train.eval_every": _EVALUATIONS,
    "train.eval_batch_size": _EVALUATIONS,
    "train.eval_batches": _EVALUATIONS,
    "train.checkpoint_every": Rule(FREE),
    "train.save_in_background": Rule(FREE),
    "train.keep_checkpoints": Rule(FREE),
    "train.early_stopping": Rule(
        ALLOWED, "applies to later evaluations; with another metric, the best one is determined anew"
    ),
    "train.on_nan": Rule(FREE),
    "train.workers": Rule(FREE),
    "train.prefetch": Rule(FREE),
    "train.timeout": Rule(FREE),
    "train.loggers": Rule(FREE),
    "train.optimizer": Rule(NEVER, "the checkpoint holds the state of this optimizer"),
    "train.optimizer.*.*": Rule(ALLOWED, "the optimizer state is kept"),
    "train.optimizer.*.lr": Rule(ALLOWED, "the schedule continues at the same position with the new peak"),
    "train.schedule": Rule(ALLOWED, "the learning rate follows the new schedule from this step"),
    "train.strategy": Rule(ALLOWED, "rounding differs"),
    "train.strategy.*.start_timeout": Rule(FREE),
    "train.hooks": Rule(ALLOWED, "the effect of hooks is unknown"),
}


def rule_of(path: str) -> Rule:
    """The rule for the option at a path such as ``train.optimizer.adamw.lr``.

    Raises:
        KeyError: the table has none.
    """
    parts = path.split(".")
    fitting = [pattern for pattern in RULES if _fits(pattern.split("."), parts)]
    if not fitting:
        raise KeyError(path)
    # Exact names take precedence over a star.
    return RULES[max(fitting, key=lambda pattern: (pattern.count("."), -pattern.count("*")))]


def _fits(pattern: list[str], parts: list[str]) -> bool:
    return len(pattern) <= len(parts) and all(p in ("*", part) for p, part in zip(pattern, parts))
