"""For every option of a spec: whether a run that goes on from a checkpoint may have another value. Torch-free."""

from __future__ import annotations

from typing import NamedTuple

#: The option decides nothing that is in a checkpoint: it may change.
FREE = "free"

#: It decides how evaluations are made: it may change where early stopping does not watch them, and else if allowed.
EVALUATION = "evaluation"

#: It decides what is computed: it may change if the user says so, and the result is no longer that of one run.
ALLOWED = "allowed"

#: What a checkpoint holds would mean something else.
NEVER = "never"


class Rule(NamedTuple):
    """The fate of an option that differs from the one that the checkpoint was made with.

    Attributes:
        kind: ``FREE``, ``EVALUATION``, ``ALLOWED`` or ``NEVER``.
        note: what a change does from there on, or why there can be none.
    """

    kind: str
    note: str = ""


_EVALUATIONS = Rule(EVALUATION, "evaluations before and after do not compare; the best one is counted anew")
_LENGTH = Rule(
    ALLOWED, "the schedule is that of the new length; a warm-up that is a fraction of the steps keeps its steps"
)
_ORDER = "the order of the samples follows from it: some would come twice in an epoch, and others not at all"
_PREPARED = "the run was trained on what it makes of the data"
_WEIGHTS = "the weights and the optimizer's state are those of this model"

#: By the path of an option, with ``*`` for any name; of several that fit, the longest. A rule holds for what is below.
RULES = {
    "tp": Rule(FREE),
    "name": Rule(FREE),
    "init_from": Rule(FREE, "it has no effect: the run goes on from its checkpoint"),
    "require_init": Rule(FREE),
    "inference": Rule(FREE),
    "model": Rule(NEVER, _WEIGHTS),
    "model.target.*.metrics": Rule(FREE),  # what is measured of a classifier changes nothing that it learns
    "data.tokenizer": Rule(NEVER, _PREPARED),
    "data.target_tokenizer": Rule(NEVER, _PREPARED),
    "data.processor": Rule(NEVER, _PREPARED),
    "data.train": Rule(FREE),  # wherever it lies; the data themselves are compared when they are read
    "data.eval": Rule(FREE),  # likewise
    "data.labels": Rule(NEVER, _PREPARED),
    "data.columns": Rule(NEVER, _PREPARED),
    "data.folder_labels": Rule(NEVER, _PREPARED),
    "data.on_bad_record": Rule(FREE),  # the number of instances is compared
    "data.bucket": Rule(NEVER, _ORDER),
    "data.cache": Rule(FREE),
    "data.sets": Rule(NEVER, "the turns of the data sets follow from it"),
    "data.sets.*.train": Rule(FREE),
    "data.sets.*.eval": Rule(FREE),
    "data.sets.*.on_bad_record": Rule(FREE),
    "data.sets.*.columns": Rule(NEVER, _PREPARED),
    "data.sets.*.labels": Rule(NEVER, _PREPARED),
    "data.sets.*.folder_labels": Rule(NEVER, _PREPARED),
    "data.sets.*.processor": Rule(NEVER, _PREPARED),
    "data.sets.*.bucket": Rule(NEVER, _ORDER),
    "data.sets.*.share": Rule(NEVER, _ORDER),
    "data.sets.*.targets": Rule(NEVER, _WEIGHTS),
    "data.sets.*.streams": Rule(NEVER, _WEIGHTS),
    "train.steps": _LENGTH,
    "train.epochs": _LENGTH,
    "train.batch_size": Rule(ALLOWED, "the data go on behind the samples that were seen; epochs stay whole"),
    "train.accumulate": Rule(ALLOWED, "rounding differs, and what the samples of a micro-batch do with each other"),
    "train.seed": Rule(NEVER, _ORDER),
    "train.precision": Rule(ALLOWED, "steps are computed in it; weights and optimizer state are fp32 as before"),
    "train.device": Rule(ALLOWED, "rounding and dropout differ"),
    "train.compile": Rule(ALLOWED, "rounding and dropout differ"),
    "train.clip_norm": Rule(ALLOWED, "gradients are clipped so from here on"),
    "train.activation_checkpointing": Rule(FREE),
    "train.log_every": Rule(FREE),
    "train.eval_every": _EVALUATIONS,
    "train.eval_batch_size": _EVALUATIONS,
    "train.eval_batches": _EVALUATIONS,
    "train.checkpoint_every": Rule(FREE),
    "train.keep_checkpoints": Rule(FREE),
    "train.early_stopping": Rule(
        ALLOWED, "evaluations are judged so from here on; with another metric the best one is counted anew"
    ),
    "train.on_nan": Rule(FREE),
    "train.workers": Rule(FREE),
    "train.prefetch": Rule(FREE),
    "train.timeout": Rule(FREE),
    "train.loggers": Rule(FREE),
    "train.optimizer": Rule(NEVER, "its state is that of this optimizer"),
    "train.optimizer.*.*": Rule(ALLOWED, "the optimizer's state stays as it is"),
    "train.optimizer.*.lr": Rule(ALLOWED, "the peak of the schedule, which goes on at the same position"),
    "train.schedule": Rule(ALLOWED, "the learning rate is what this schedule has at this step"),
    "train.strategy": Rule(ALLOWED, "rounding differs"),
    "train.strategy.*.start_timeout": Rule(FREE),
    "train.hooks": Rule(ALLOWED, "what hooks change is not known"),
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
    # A name says more than a star.
    return RULES[max(fitting, key=lambda pattern: (pattern.count("."), -pattern.count("*")))]


def _fits(pattern: list[str], parts: list[str]) -> bool:
    return len(pattern) <= len(parts) and all(p in ("*", part) for p, part in zip(pattern, parts))
