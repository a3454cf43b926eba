"""Options of the original that have no counterpart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

#: Options → what to do instead, or why they are not needed.
_INSTEAD: Mapping[str, str] = {
    **dict.fromkeys(
        ("deepspeed_config", "enable_zero3"), "it belongs to --deepspeed; train.strategy of a spec is {deepspeed: ...}"
    ),
    "tensor_model_parallel_size": "it belongs to --use_mp; in a spec: train.strategy: {fsdp: {tensor_parallel: N}}",
    "use_mp": "it belongs to --tensor_model_parallel_size",
    "pipeline_model_parallel_size": "pipeline parallelism is not there",
    **dict.fromkeys(
        ("use_lora", "lora_r", "lora_alpha", "lora_dropout", "lora_pretrained_model_path"),
        "low-rank adapters are not there; all weights are trained",
    ),
    "deep_init": "set scale_residual_init: true of the transformer for a model that starts at random",
    "resume_from_checkpoint": "a run goes on with tp train SPEC --resume",
    **dict.fromkeys(
        ("vqgan_model_path", "vqgan_config_path"), "image tokens come from data.processor or from a target's tokenizer"
    ),
    "batch_size_list": "a grid is tp sweep SPEC --grid train.batch_size=...",
    "learning_rate_list": "a grid is tp sweep SPEC --grid train.optimizer.adamw.lr=...",
    "epochs_num_list": "a grid is tp sweep SPEC --grid train.epochs=...",
    "folds_num": "cross-validation is tp sweep SPEC --folds N",
    **dict.fromkeys(("alibi_position_embedding", "layer_number_scale"), "the original ignores it"),
    "output_model_path": "the model is in runs/NAME; tp train SPEC --run FOLDER names another folder",
    "sentence_selection_strategy": "the processor gsg masks the principal sentences (ROUGE), as PEGASUS does",
    "max_choices_num": "a question has as many choices as the data give it",
    "dup_factor": "documents are read once in an epoch, with new masks in each",
    "fp16_opt_level": "precision fp16 is torch's automatic mixed precision, as O1 is",
    "deepspeed_checkpoint_layers_num": "activations of each layer are recomputed",
    **dict.fromkeys(
        ("train_features_path", "dev_features_path", "test_features_path"), "features are made from the recordings"
    ),
    **dict.fromkeys(("log_path", "log_level", "log_file_level"), "the log of a run is in its folder"),
    "eval_steps": "set train.eval_every",
    "target": "the script has a head of its own",
    **dict.fromkeys(
        ("decoder", "tgt_embedding", "share_embedding"), "it belongs to a decoder, which this model does not have"
    ),
    "labels_num": "the number of classes is that of the training data",
    "lr_decay": "it belongs to the scheduler tri_stage",
    "temperature": "it belongs to run_simcse.py",
    "full_sentences": "each document has rows of its own, as in the original, where mlm and t5 alone read it",
    "label2id_path": "it belongs to run_ner.py",
}

#: Options on which nothing depends here.
_NOT_NEEDED = (
    *("processes_num", "docs_buffer_size", "instances_buffer_size", "master_ip", "backend", "local_rank", "gpu_ranks"),
)


def without_counterpart(names: Iterable[str]) -> Iterator[str]:
    """A sentence for each option that the spec does not have, and one for those that nobody needs.

    Args:
        names: the options.
    """
    names = list(names)
    by_reason: dict[str, list[str]] = {}
    for name in names:
        if name not in _NOT_NEEDED:
            reason = _INSTEAD.get(name, "the spec does not have it, since nothing in this training reads it")
            by_reason.setdefault(reason, []).append(f"--{name}")
    yield from (f"{', '.join(flags)}: {reason}" for reason, flags in by_reason.items())
    needless = [f"--{name}" for name in names if name in _NOT_NEEDED]
    if needless:
        yield f"not needed here: {', '.join(needless)}"
