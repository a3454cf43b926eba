"""Terms of other toolkits for options of specs. Torch-free.

Hugging Face Trainer and configs, fairseq, fairseq2, PyTorch Lightning, timm, OpenCLIP, torchtitan, LLM Foundry,
DeepSpeed and TencentPretrain use other names for the same options, and have some options that specs lack.
"""

from __future__ import annotations

#: Section → option → terms of other toolkits. If a term is listed at several options, the first valid one is meant.
WORDS: dict[str, dict[str, str]] = {
    "": {
        "init_from": (
            "pretrained pretrained_model_path pretrained_path model_name_or_path init_checkpoint load_from "
            "load_weights_from finetune_from_model restore_file pretrained_model initial_checkpoint "
            "initial_load_path load_path load_weights pretrained_weights finetune_from pretrained_image "
            "pretrained_text"
        ),
        "name": "run_name experiment_name exp_name",
        "extends": (
            "base base_config inherit parent preset arch model_arch architecture architectures model_type "
            "model_name model_config config_path config_name flavor family"
        ),
        "train": "training trainer training_args regime",
        "data": "dataloader train_loader datamodule",
    },
    "train": {
        "steps": (
            "max_steps total_steps num_steps train_steps training_steps max_train_steps num_training_steps "
            "max_update max_iters max_iter iterations n_steps max_duration max_num_steps num_iterations n_iters "
            "train_iters total_training_steps"
        ),
        "epochs": (
            "num_train_epochs num_epochs max_epochs max_epoch epochs_num n_epochs total_epochs num_data_epochs "
            "max_num_data_epochs n_epoch"
        ),
        "batch_size": (
            "per_device_train_batch_size per_gpu_train_batch_size train_batch_size micro_batch_size "
            "global_batch_size local_batch_size train_micro_batch_size_per_gpu batch bsz bs max_sentences "
            "global_train_batch_size device_train_batch_size total_batch_size mini_batch_size"
        ),
        "accumulate": (
            "gradient_accumulation_steps accumulation_steps accumulate_grad_batches grad_accum grad_accum_steps "
            "gradient_accumulation update_freq accum_iter accum_freq grad_accumulation num_accumulate "
            "device_train_microbatch_size gradient_accumulation_step"
        ),
        "precision": (
            "fp16 bf16 fp32 half amp use_amp use_fp16 use_bf16 mixed_precision dtype torch_dtype float16 bfloat16 "
            "fp16_full_eval bf16_full_eval fp16_opt_level opt_level amp_dtype mixed_precision_param amp_level"
        ),
        "clip_norm": (
            "max_grad_norm gradient_clip_val gradient_clipping grad_clip clip_grad_norm clip_grad max_norm "
            "grad_norm_clip grad_clip_norm clip_grad_value gradient_clip clip_gradient clipping_threshold "
            "clip_mode"
        ),
        "activation_checkpointing": (
            "gradient_checkpointing checkpoint_activations use_checkpoint recompute activation_checkpoint "
            "grad_checkpointing deepspeed_checkpoint_activations enable_gradient_checkpointing ac_mode "
            "gradient_checkpointing_kwargs activation_checkpointing_kwargs"
        ),
        "log_every": (
            "logging_steps log_interval report_steps log_steps log_freq log_every_n_steps print_freq "
            "logging_strategy logging_first_step publish_metrics_every_n_steps console_log_interval "
            "progress_bar_refresh_rate"
        ),
        "eval_every": (
            "eval_steps eval_interval validate_interval val_check_interval evaluation_steps eval_freq "
            "val_interval validate_interval_updates eval_strategy evaluation_strategy validate_every_n_steps "
            "val_frequency check_val_every_n_epoch validation_interval val_every"
        ),
        "eval_batch_size": (
            "per_device_eval_batch_size per_gpu_eval_batch_size valid_batch_size val_batch_size "
            "max_sentences_valid validation_batch_size device_eval_batch_size"
        ),
        "eval_batches": (
            "eval_iters limit_val_batches max_eval_steps eval_subset_num_batches max_eval_samples max_val_samples"
        ),
        "checkpoint_every": (
            "save_steps save_interval save_every checkpoint_interval save_checkpoint_steps checkpoint_steps "
            "save_freq save_interval_updates save_strategy checkpoint_every_n_steps save_frequency "
            "checkpoint_freq recovery_interval every_n_train_steps"
        ),
        "keep_checkpoints": (
            "save_total_limit keep_last_epochs keep_checkpoint_max save_top_k keep_interval_updates "
            "keep_last_n_checkpoints save_num_checkpoints_to_keep checkpoint_hist max_to_keep keep_last "
            "keep_latest_k"
        ),
        "early_stopping": "early_stop early_stop_callback",
        "workers": (
            "num_workers dataloader_num_workers n_workers num_proc data_num_workers preprocessing_num_workers "
            "processes_num n_jobs"
        ),
        "prefetch": "prefetch_factor dataloader_prefetch_factor",
        "compile": "torch_compile use_compile torchcompile",
        "strategy": "ddp distributed distributed_backend",
        "hooks": "callbacks callback",
        "seed": "random_seed manual_seed global_seed random_state data_seed shuffle_seed",
        "device": "use_cpu no_cuda cuda gpu accelerator device_type",
        "on_nan": "skip_nan nan_policy",
        "loggers": (
            "tensorboard use_tensorboard tensorboard_logdir enable_tensorboard tb log_tensorboard tensorboard_dir "
            "report_to logger logging wandb use_wandb enable_wandb log_wandb wandb_project wandb_entity "
            "wandb_run_name wandb_log mlflow"
        ),
        "timeout": "ddp_timeout dist_timeout init_timeout_seconds train_timeout_seconds",
        "optimizer": "optim optimiser optimizer_name optimizer_type opt optimizer_class",
        "schedule": (
            "lr_scheduler lr_scheduler_type scheduler lr_schedule sched lr_policy scheduler_type "
            "lr_scheduler_name decay_type lr_decay_style lr_decay"
        ),
    },
    "train.strategy": {
        "bucket_mb": "ddp_bucket_cap_mb bucket_cap_mb",
        "static_graph": "ddp_static_graph",
    },
    "train.early_stopping": {
        "patience": "early_stopping_patience",
        "min_delta": "early_stopping_threshold early_stopping_delta",
        "metric": "metric_for_best_model monitor score_metric best_checkpoint_metric eval_metric",
        "mode": "greater_is_better maximize_best_checkpoint_metric monitor_mode",
        "restore_best": "load_best_model_at_end restore_best_weights save_best",
    },
    "train.optimizer": {
        "lr": "learning_rate base_lr peak_lr max_lr init_lr initial_lr blr lrate max_learning_rate lr_base",
        "weight_decay": "wd l2 weight_decay_rate l2_reg",
        "betas": "adam_betas adam_beta1 adam_beta2 optimizer_betas beta1 beta2 opt_betas",
        "eps": "adam_epsilon adam_eps epsilon opt_eps",
        "bias_correction": "correct_bias",
    },
    "train.schedule": {
        "warmup": (
            "warmup_steps warmup_ratio warmup_updates warmup_iters warmup_epochs num_warmup_steps lr_warmup_steps "
            "warm_up warmup_proportion t_warmup warmup_fraction warmup_rate lr_warmup"
        ),
        "final": (
            "min_lr end_learning_rate min_lr_ratio end_lr final_lr alpha_f lr_end lr_min final_lr_scale "
            "min_lr_rate decay_lr lr_cooldown_end"
        ),
        "initial": "warmup_init_lr init_lr_scale warmup_lr",
        "cycles": "num_cycles lr_cycle_limit",
        "decay": (
            "decay_ratio decay_steps num_decay_steps cooldown cooldown_epochs lr_decay_steps lr_decay_iters "
            "epochs_cooldown decay_epochs"
        ),
        "hold": "hold_steps num_stable_steps",
        "power": "lr_power poly_power lr_cooldown_power",
    },
    "model": {
        "hidden_size": "d_model n_embd dim hidden_dim embed_dim model_dim encoder_embed_dim hidden width",
        "embedding_size": (
            "emb_size emb_dim embedding_dim embed_size word_embed_dim factorized_embedding_parameterization"
        ),
        "vocab_size": "vocabulary_size n_vocab n_words",
        "target_embedding": "tgt_embedding decoder_embedding",
        "share_embeddings": "share_embedding share_all_embeddings shared_embeddings",
        "pooling": "pool classifier_pooling pooling_mode pooler global_pool",
    },
    "model.encoder": {
        "num_layers": (
            "num_hidden_layers n_layer n_layers layers_num depth layers encoder_layers decoder_layers "
            "num_encoder_layers num_blocks num_layer_encoder layers_count"
        ),
        "num_heads": "num_attention_heads n_head n_heads heads_num heads nhead attention_heads encoder_attention_heads",
        "feed_forward_size": (
            "intermediate_size feedforward_size d_ff n_inner ffn_dim encoder_ffn_dim ffn_hidden_size "
            "dim_feedforward inner_size mlp_dim ff_dim encoder_ffn_embed_dim expansion_ratio mlp_ratio ffn_mult "
            "ffn_dim_multiplier encoder_intermediate_size"
        ),
        "activation": "hidden_act activation_function act_fn act hidden_activation activation_fn nonlinearity",
        "dropout": (
            "hidden_dropout_prob hidden_dropout dropout_prob dropout_rate resid_pdrop dropout_p p_dropout drop "
            "drop_rate proj_drop"
        ),
        "activation_dropout": "relu_dropout act_dropout",
        "norm": "layernorm normalization norm_type layernorm_type norm_layer",
        "norm_position": (
            "layernorm_positioning pre_norm prenorm norm_first normalize_before do_layer_norm_before "
            "encoder_normalize_before"
        ),
        "share_layers": "parameter_sharing tie_layers",
        "init_std": "initializer_range init_range initializer_std init_method_std",
        "drop_path": "layer_drop layerdrop drop_path_rate stochastic_depth encoder_layerdrop",
        "layer_scale": "layer_scale_init_value init_values",
        "scale_residual_init": "deep_init",
        "feed_forward": "gated_mlp glu ffn_type mlp_type",
        "mask": "is_causal causal attention_type",
        "mixer": "mixing token_mixer",
        "parallel": "use_parallel_residual parallel_attn parallel_attention",
    },
    "model.encoder.mixer": {
        "num_key_value_heads": "n_kv_heads num_kv_heads kv_heads num_query_groups local_kv_heads_num",
        "head_size": "head_dim d_kv attention_head_size kv_channels",
        "dropout": (
            "attention_dropout attention_probs_dropout_prob attn_pdrop attention_dropout_prob attn_dropout "
            "attn_drop attn_drop_rate"
        ),
        "positions": (
            "position_encoding position_embedding_type pos_encoding rope rotary_position_embedding "
            "relative_position_embedding positional_encoding alibi alibi_position_embedding rotary use_rope"
        ),
        "window": "attention_window sliding_window window_size local_attention",
        "bias": "attention_bias qkv_bias use_bias add_bias_linear no_bias remove_transformer_bias",
        "output_bias": "attention_output_bias",
        "scale": "attention_scale remove_attention_scale",
        "query_key_norm": "qk_norm use_qk_norm qk_layernorm",
        "soft_cap": "attn_logit_softcapping attn_logit_softcap",
        "residual": "residual_attention has_residual_attention",
    },
    "model.encoder.positions": {
        "theta": "rotary_theta rope_theta rope_base rotary_base rotary_emb_base",
        "fraction": "rotary_fraction partial_rotary_factor rotary_pct",
        "interleaved": "rotary_interleaved",
        "factor": "rope_scaling rope_factor rope_scaling_factor",
        "buckets": "relative_buckets relative_attention_buckets_num relative_attention_num_buckets",
        "max_distance": "relative_max_distance relative_attention_max_distance",
    },
    "model.encoder.feed_forward": {
        "bias": "feed_forward_bias mlp_bias",
    },
    "model.encoder.norm": {
        "eps": "norm_eps layer_norm_eps layer_norm_epsilon layernorm_epsilon rms_norm_eps layernorm_eps",
        "bias": "norm_bias",
    },
    "model.embedding": {
        "max_length": "max_position_embeddings n_positions max_positions num_positions n_ctx",
        "norm": "remove_embedding_layernorm",
        "kernel_sizes": "conv_kernel_sizes conv_layers_num conv_channels",
    },
    "model.target": {
        "num_labels": "num_classes n_classes labels_num nb_classes",
        "label_smoothing": "label_smoothing_factor smoothing",
        "weight": "loss_weight loss_coefficient",
        "bias": "has_lmtarget_bias",
        "temperature": "logit_scale init_logit_scale logit_scale_init_value",
        "soft_weight": "soft_alpha",
        "teacher": "soft_targets teacher_model distill_model",
        "projection_size": "projection_dim feature_size",
    },
    "data": {
        "train": (
            "dataset dataset_path dataset_name train_file train_files train_path train_data train_dataset "
            "data_path data_dir corpus corpus_path data_local local train_split path paths data_files"
        ),
        "eval": (
            "validation_file validation eval_file eval_path eval_dataset eval_data dev dev_path valid val "
            "val_path test test_path eval_loader val_data val_dataset valid_split validation_data valid_path"
        ),
        "tokenizer": "tokenizer_name tokenizer_path tokenizer_file",
        "processor": "data_processor collator data_collator preprocessor feature_extractor",
        "columns": (
            "text_column column_names column_mapping remove_columns remove_unused_columns text_key image_key "
            "csv_img_key csv_caption_key text_column_name label_column_name image_column audio_column_name "
            "label_column dataset_text_field"
        ),
        "cache": "cache_dir",
        "bucket": "group_by_length length_column_name bucketing",
        "balance": "weighted_sampler balanced_sampler balanced_sampling class_balance oversample oversampling sampler",
        "target_tokenizer": "tgt_tokenizer tgt_vocab_path",
        "on_bad_record": "ignore_errors skip_bad_records",
        "sets": "mixture datasets data_mixture",
    },
    "inference.generate": {
        "beams": "num_beams beam_size n_beams",
        "sample": "do_sample sampling",
        "early_stopping": "early_stop",
    },
}
