"""Words of other toolkits for what specs call otherwise. Torch-free.

Hugging Face Trainer and configs, fairseq, PyTorch Lightning, timm, torchtitan, DeepSpeed and TencentPretrain name the
same options in other words. Of an unknown one, the nearest in meaning says more than the nearest in spelling.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import NamedTuple

from tp_core.suggest import did_you_mean


class Meaning(NamedTuple):
    """An option of ours.

    Attributes:
        option: its name.
        place: the section that it belongs in, or the part of the model whose modules have it.
    """

    option: str
    place: str


#: Section → option → the words of others. A word may stand at several options: the first that is known is meant.
_WORDS: dict[str, dict[str, str]] = {
    "": {
        "init_from": (
            "pretrained pretrained_model_path pretrained_path model_name_or_path init_checkpoint load_from "
            "load_weights_from finetune_from_model restore_file resume_from_checkpoint"
        ),
        "name": "run_name experiment_name exp_name output_dir",
        "extends": "base base_config inherit parent preset",
    },
    "train": {
        "steps": (
            "max_steps total_steps num_steps train_steps training_steps max_train_steps num_training_steps max_update "
            "max_iters max_iter iterations n_steps"
        ),
        "epochs": "num_train_epochs num_epochs max_epochs max_epoch epochs_num n_epochs total_epochs",
        "batch_size": (
            "per_device_train_batch_size per_gpu_train_batch_size train_batch_size micro_batch_size global_batch_size "
            "local_batch_size train_micro_batch_size_per_gpu batch bsz bs max_sentences"
        ),
        "accumulate": (
            "gradient_accumulation_steps accumulation_steps accumulate_grad_batches grad_accum grad_accum_steps "
            "gradient_accumulation update_freq accum_iter"
        ),
        "precision": (
            "fp16 bf16 fp32 half amp use_amp use_fp16 use_bf16 mixed_precision dtype torch_dtype float16 bfloat16"
        ),
        "clip_norm": (
            "max_grad_norm gradient_clip_val gradient_clipping grad_clip clip_grad_norm clip_grad max_norm "
            "grad_norm_clip grad_clip_norm"
        ),
        "activation_checkpointing": (
            "gradient_checkpointing checkpoint_activations use_checkpoint recompute activation_checkpoint "
            "grad_checkpointing"
        ),
        "log_every": "logging_steps log_interval report_steps log_steps log_freq log_every_n_steps print_freq",
        "eval_every": (
            "eval_steps eval_interval validate_interval val_check_interval evaluation_steps eval_freq val_interval "
            "validate_interval_updates"
        ),
        "eval_batch_size": (
            "per_device_eval_batch_size per_gpu_eval_batch_size valid_batch_size val_batch_size max_sentences_valid"
        ),
        "eval_batches": "eval_iters limit_val_batches max_eval_steps",
        "checkpoint_every": (
            "save_steps save_interval save_every checkpoint_interval save_checkpoint_steps checkpoint_steps save_freq "
            "save_interval_updates"
        ),
        "keep_checkpoints": "save_total_limit keep_last_epochs keep_checkpoint_max save_top_k keep_interval_updates",
        "early_stopping": "patience early_stopping_patience early_stop",
        "workers": "num_workers dataloader_num_workers n_workers num_proc",
        "prefetch": "prefetch_factor dataloader_prefetch_factor",
        "compile": "torch_compile use_compile",
        "strategy": "ddp distributed deepspeed fsdp accelerator distributed_backend",
        "hooks": "callbacks callback",
        "seed": "random_seed manual_seed",
        "device": "use_cpu no_cuda cuda gpu",
        "on_nan": "skip_nan nan_policy",
        "tensorboard": "report_to use_tensorboard tensorboard_logdir logger",
        "timeout": "ddp_timeout",
        "optimizer": "optim optimiser optimizer_name optimizer_type",
        "schedule": "lr_scheduler lr_scheduler_type scheduler lr_schedule sched lr_policy",
    },
    "train.optimizer": {
        "lr": "learning_rate base_lr peak_lr max_lr init_lr initial_lr blr",
        "weight_decay": "wd l2 weight_decay_rate",
        "betas": "adam_betas adam_beta1 adam_beta2 optimizer_betas beta1 beta2",
        "eps": "adam_epsilon adam_eps epsilon",
    },
    "train.schedule": {
        "warmup": (
            "warmup_steps warmup_ratio warmup_updates warmup_iters warmup_epochs num_warmup_steps lr_warmup_steps "
            "warm_up warmup_proportion"
        ),
        "final": "min_lr end_learning_rate min_lr_ratio end_lr final_lr",
    },
    "model": {
        "hidden_size": "d_model n_embd dim hidden_dim embed_dim model_dim encoder_embed_dim hidden width",
        "embedding_size": "emb_size emb_dim embedding_dim embed_size word_embed_dim",
        "vocab_size": "vocabulary_size n_vocab n_words",
        "share_embeddings": "share_embedding share_all_embeddings shared_embeddings",
        "pooling": "pool classifier_pooling pooling_mode pooler",
    },
    "model.encoder": {
        "num_layers": (
            "num_hidden_layers n_layer n_layers layers_num depth layers encoder_layers decoder_layers "
            "num_encoder_layers num_blocks"
        ),
        "num_heads": "num_attention_heads n_head n_heads heads_num heads nhead attention_heads encoder_attention_heads",
        "num_key_value_heads": "n_kv_heads num_kv_heads kv_heads num_query_groups",
        "head_size": "head_dim d_kv attention_head_size kv_channels",
        "feed_forward_size": (
            "intermediate_size feedforward_size d_ff n_inner ffn_dim encoder_ffn_dim ffn_hidden_size dim_feedforward "
            "inner_size mlp_dim ff_dim encoder_ffn_embed_dim"
        ),
        "activation": "hidden_act activation_function act_fn act hidden_activation activation_fn nonlinearity",
        "dropout": "hidden_dropout_prob hidden_dropout dropout_prob dropout_rate resid_pdrop dropout_p p_dropout",
        "attention_dropout": "attention_probs_dropout_prob attn_pdrop attention_dropout_prob attn_dropout",
        "activation_dropout": "relu_dropout act_dropout",
        "norm": "layernorm normalization norm_type layernorm_type norm_layer",
        "norm_position": (
            "layernorm_positioning pre_norm prenorm norm_first normalize_before do_layer_norm_before "
            "encoder_normalize_before"
        ),
        "norm_eps": "layer_norm_eps layer_norm_epsilon layernorm_epsilon rms_norm_eps layernorm_eps",
        "position_encoding": (
            "position_embedding_type pos_encoding rope rotary_position_embedding relative_position_embedding "
            "positional_encoding alibi"
        ),
        "rotary_theta": "rope_theta rope_base rotary_base",
        "attention_window": "sliding_window window_size local_attention",
        "attention_bias": "qkv_bias use_bias add_bias_linear",
        "residual_attention": "has_residual_attention",
        "share_layers": "parameter_sharing tie_layers",
        "init_std": "initializer_range init_range initializer_std init_method_std",
        "layer_drop": "layerdrop drop_path drop_path_rate stochastic_depth encoder_layerdrop",
        "layer_scale": "layer_scale_init_value init_values",
    },
    "model.embedding": {
        "max_length": "max_position_embeddings n_positions max_positions num_positions n_ctx",
        "num_segments": "type_vocab_size token_type_vocab_size n_segments",
        "image_size": "img_size image_resolution",
        "patch_size": "patch",
        "channels": "num_channels in_chans in_channels",
    },
    "model.target": {
        "tie": (
            "tie_weights tie_word_embeddings tie_embeddings tied_embeddings weight_tying tie_output "
            "share_decoder_input_output_embed"
        ),
        "num_labels": "num_classes n_classes labels_num nb_classes",
        "label_smoothing": "label_smoothing_factor smoothing",
        "weight": "loss_weight loss_coefficient",
    },
    "data.processor": {
        "max_length": (
            "seq_length seq_len max_seq_length max_seq_len sequence_length block_size context_length ctx_len "
            "max_source_length tokens_per_sample model_max_length cutoff_len max_len"
        ),
        "target_max_length": (
            "tgt_seq_length max_target_length target_seq_length decoder_max_length generation_max_length"
        ),
        "mask_rate": "mlm_probability masked_lm_prob mlm_prob masking_probability mask_probability",
        "mask_ratio": "masking_ratio",
        "whole_word": "whole_word_masking whole_word_mask wwm",
        "span": "span_masking",
        "span_p": "span_geo_prob",
        "augment": "auto_augment augmentation transforms",
        "labels": "label_list class_names id2label label_names",
        "sampling_rate": "sample_rate sr",
        "num_mel_bins": "n_mels num_mels n_mel",
        "normalize": "do_normalize",
        "interpolation": "resample",
        "mean": "image_mean",
        "std": "image_std",
    },
    "data.tokenizer": {
        "vocab": "vocab_path vocab_file",
        "model": "spm_model_path sp_model spm_model model_file",
        "merges": "merges_path merges_file",
        "lowercase": "do_lower_case lower_case uncased do_lowercase",
        "split_chinese": "tokenize_chinese_chars",
    },
    "data": {
        "train": (
            "dataset dataset_path dataset_name train_file train_files train_path train_data train_dataset data_path "
            "data_dir corpus corpus_path"
        ),
        "eval": (
            "validation_file validation eval_file eval_path eval_dataset eval_data dev dev_path valid val val_path "
            "test test_path"
        ),
        "tokenizer": "tokenizer_name tokenizer_path tokenizer_file",
        "processor": "data_processor collator data_collator preprocessor feature_extractor",
        "columns": "text_column column_names column_mapping remove_columns",
        "cache": "cache_dir",
        "bucket": "group_by_length",
    },
    "inference.generate": {
        "beams": "num_beams beam_size n_beams",
        "sample": "do_sample sampling",
        "early_stopping": "early_stop",
    },
}

#: Values and modules of ours → the words of others.
_VALUES = {
    "fp16": "float16 half 16 16-mixed fp16-mixed torch.float16",
    "bf16": "bfloat16 bf16-mixed torch.bfloat16",
    "fp32": "float32 float 32 32-true no none torch.float32",
    "gelu_tanh": "gelu_new gelu_fast gelu_pytorch_tanh gelu_approximate",
    "silu": "swish swiglu",
    "linear": "identity none linear_with_warmup linear_schedule_with_warmup",
    "causal": "autoregressive unidirectional left_to_right",
    "fully_visible": "bidirectional full",
    "rmsnorm": "rms t5",
    "layernorm": "layer normal",
    "rotary": "rope",
    "first": "cls cls_token",
    "mean": "avg average",
    "adamw": "adam adamw_torch adamw_torch_fused adamw_hf fused_adam paged_adamw bert_adam",
    "cosine": "cosine_with_warmup cosine_annealing",
    "cosine_restarts": "cosine_with_restarts",
    "constant": "constant_with_warmup",
    "inverse_sqrt": "inverse_square_root noam",
    "polynomial": "poly polynomial_decay",
    "ddp": "distributed ddp_spawn",
    "cuda": "gpu",
    "transformer": "bert roberta gpt gpt2 transformer_encoder vit llama",
    "bilstm": "bi-lstm",
    "word": "token tok word_embedding token_embedding",
    "pos": "position positional learned position_embedding absolute",
    "seg": "segment token_type segment_embedding type",
    "sinusoidal": "sinusoidalpos sinusoid",
    "patch": "patch_embedding",
    "cls": "classification classifier",
    "lm": "clm causal_lm language_model gpt",
    "mlm": "masked_lm masked_language_model",
    "sp": "nsp sop next_sentence_prediction sentence_order",
    "wordpiece": "bert bert_tokenizer",
    "bpe": "gpt2 byte_level_bpe",
    "sentencepiece": "spm xlmroberta",
    "huggingface": "hf auto tokenizers",
}


#: Options of others that are on or off → what they set.
_SWITCHES = {
    "precision: fp16": "fp16 half use_fp16 float16",
    "precision: bf16": "bf16 use_bf16 bfloat16",
    "norm_position: pre": "pre_norm prenorm norm_first normalize_before do_layer_norm_before encoder_normalize_before",
    "position_encoding: rotary": "rope rotary_position_embedding",
    "position_encoding: relative": "relative_position_embedding",
    "position_encoding: alibi": "alibi",
    "device: cpu": "use_cpu no_cuda",
    "strategy: ddp": "ddp distributed",
    "pack: true": "packing",
}


def plain(word: str) -> str:
    """A word as the tables have it."""
    return word.strip().lower().replace("-", "_")


@functools.cache
def _options() -> dict[str, list[Meaning]]:
    found: dict[str, list[Meaning]] = {}
    for place, options in _WORDS.items():
        for option, words in options.items():
            for word in words.split():
                found.setdefault(plain(word), []).append(Meaning(option, place))
    return found


@functools.cache
def _values() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for value, words in _VALUES.items():
        for word in words.split():
            found.setdefault(plain(word), []).append(value)
    return found


def meant(word: str, known: Iterable[str]) -> str | None:
    """The one of several names of ours that a word of others stands for; None for a word that means none of them."""
    known = list(known)
    options = [meaning.option for meaning in _options().get(plain(word), [])]
    return next((name for name in (*options, *_values().get(plain(word), [])) if name in known), None)


def meaning(word: str) -> str:
    """The option of ours that a word of other toolkits stands for first of all; empty for a word without a meaning."""
    return next((each.option for each in _options().get(plain(word), [])), "")


def hint(word: str, known: Iterable[str]) -> str:
    """The key that an unknown word means: in other toolkits, at another place, or by its spelling; or nothing.

    Args:
        known: the names that would do in its place.
    """
    known = list(known)
    alike = next((name for name in known if plain(name) == plain(word)), None)
    if found := alike or meant(word, known):
        switch = next((each for each, words in _SWITCHES.items() if plain(word) in words.split()), "")
        return f"did you mean '{switch if switch.startswith(f'{found}: ') else found}'?"
    return elsewhere(word) or did_you_mean(word, known)


def elsewhere(word: str) -> str:
    """Where specs have the option that a word of others stands for, as a sentence's part; empty for another word."""
    meanings = _options().get(plain(word), [])
    if not meanings:
        return ""
    option, place = meanings[0]
    if "." not in place:
        return f"specs call it {place}.{option}" if place else f"specs call it {option}, at the top"
    return f"specs call it '{option}', an option of {_OWNERS[place]}"


#: A part of a spec → whose options it has, in a sentence.
_OWNERS = {
    "train.optimizer": "train.optimizer",
    "train.schedule": "train.schedule",
    "model.encoder": "the encoder and the decoder, or a key of model for both",
    "model.embedding": "the embeddings, or a key of model for all of them",
    "model.target": "the targets",
    "data.processor": "data.processor",
    "data.tokenizer": "data.tokenizer",
    "inference.generate": "inference.generate",
}
