"""Features of other toolkits that specs do not have, and what to use instead. Torch-free."""

from __future__ import annotations

#: Sentences about features that specs lack, and about alternatives → terms of other toolkits for these features.
NOTHING = {
    "tp train --resume goes on with the run of a folder, and init_from names a model to begin with": (
        "resume_from_checkpoint resume auto_resume autoresume resume_from load_checkpoint restore_from_checkpoint "
        "ignore_data_skip resume_step ckpt_path restore_callback_states_from_checkpoint"
    ),
    "the command names the folder of a run: tp train --run FOLDER, by default runs/NAME": (
        "output_dir output_model_path save_dir save_path save_folder output_path out_dir outdir logging_dir log_path "
        "dump_folder default_root_dir work_dir workdir checkpoint_dir checkpoint_path overwrite_output_dir "
        "save_overwrite run_dir log_dir logs job"
    ),
    "there is no mixture of experts: each layer has one feed-forward network": (
        "num_experts num_local_experts n_experts n_routed_experts num_experts_per_tok num_experts_per_token "
        "experts_per_token moe moe_freq moe_intermediate_size router_aux_loss_coef expert_capacity capacity_factor "
        "num_shared_experts top_k_experts moe_config"
    ),
    "every process has all weights (train.strategy: ddp, under torchrun): nothing shards or offloads them": (
        "fsdp fsdp_config fsdp_transformer_layer_cls_to_wrap deepspeed deepspeed_config zero zero_stage "
        "zero_optimization enable_zero3 sharding_strategy data_parallel_shard_degree tensor_parallel_degree "
        "tensor_parallel tensor_parallel_size tensor_model_parallel_size pipeline_parallel_degree "
        "pipeline_model_parallel_size pipeline_parallel context_parallel_degree expert_parallel_degree "
        "sequence_parallel parallelism parallelism_config accelerator_config cpu_offload enable_cpu_offload tp_size "
        "pp_size megatron_lm"
    ),
    "torchrun starts the processes: torchrun --nproc-per-node 2 -m tp_core -- train SPEC": (
        "world_size gpu_ranks n_gpu num_gpus gpus gpu_ids num_devices devices num_nodes nnodes num_processes "
        "num_machines local_rank rank nproc_per_node master_ip master_addr master_port dist_url ddp_backend "
        "dist_backend backend data_parallel_replicate_degree distributed_world_size"
    ),
    "ddp finds at each step which parameters have a gradient, unless {ddp: {static_graph: true}}": (
        "ddp_find_unused_parameters find_unused_parameters"
    ),
    "nothing goes to the Hugging Face Hub: tp convert --to huggingface writes a folder for it": (
        "push_to_hub hub_model_id hub_token hub_revision hub_strategy hub_private_repo hub_always_push "
        "push_to_hub_model_id push_to_hub_token revision use_auth_token token hf_token"
    ),
    "the files of a model's folder run with the command's --trust-code": "trust_remote_code",
    "the command says what is done: tp train, tp evaluate, tp predict": (
        "do_train do_eval do_predict eval_only evaluate_only test_only"
    ),
    "a run evaluates where there is data.eval: every train.eval_every steps, and at the end": (
        "eval_on_start eval_first eval_delay num_sanity_val_steps validate_after_n_steps eval_at_end"
    ),
    "a target says what is measured (tp modules lists them); a hook of train.hooks may measure more": (
        "compute_metrics include_for_metrics prediction_loss_only batch_eval_metrics eval_do_concat_batches "
        "eval_accumulation_steps eval_use_gather_object include_inputs_for_metrics icl_tasks zeroshot_frequency"
    ),
    "train.loggers has tensorboard, wandb and mlflow; a package, or a file beside the spec, may bring others": (
        "comet trackio trackio_space_id trackio_bucket_id trackio_static_space_id neptune project metric_recorders"
    ),
    "messages have no options but train.log_every": (
        "log_level log_level_replica log_file_level log_on_each_node disable_tqdm progress_bar enable_progress_bar "
        "verbose verbosity debug skip_memory_metrics include_num_input_tokens_seen logging_nan_inf_filter "
        "include_tokens_per_second python_log_level log_to_console report_speed"
    ),
    "no mean of the weights is kept; a hook of train.hooks may do it": (
        "ema use_ema ema_decay model_ema model_ema_decay swa swa_start stochastic_weight_averaging weight_averaging"
    ),
    "there are no adapters: all weights are trained; a hook of train.hooks may replace layers": (
        "lora use_lora lora_r lora_rank lora_alpha lora_dropout lora_target_modules lora_pretrained_model_path peft "
        "peft_config peft_type use_peft qlora adapter adapters prefix_tuning prompt_tuning"
    ),
    "weights are fp32, and train.precision says what is computed with: nothing is quantised": (
        "load_in_8bit load_in_4bit quantization quantization_config bits fp8 float8 enable_fp8_linear"
    ),
    "all weights are trained; a hook (tp_model_built) may freeze some: requires_grad_(False)": (
        "freeze freeze_encoder freeze_layers num_freeze_layers freeze_embeddings freeze_backbone freeze_parameters "
        "freeze_feature_encoder freeze_encoder_for_n_steps frozen lock_image lock_text trainable train_only"
    ),
    "rates and decays of single weights are of a hook: tp_parameter_groups": (
        "layer_decay layerwise_lr_decay layer_wise_lr_decay llrd image_layer_decay text_layer_decay lr_decay_rate "
        "param_groups parameter_groups no_decay optim_target_modules wd_exclude wd_exclude_patterns lr_mult "
        "discriminative_lr backbone_lr encoder_lr head_lr"
    ),
    "attention is torch's scaled_dot_product_attention, which chooses the kernel": (
        "attn_implementation _attn_implementation use_flash_attention use_flash_attention_2 use_flash_attn flash_attn "
        "flash_attention flash attn_impl attn_config sdpa use_sdpa xformers use_xformers memory_efficient_attention "
        "fused_attention"
    ),
    "each epoch has a shuffled order of its own, by train.seed, and its last batch reaches into the next": (
        "shuffle shuffle_buffer shuffle_buffer_size buffer_size drop_last dataloader_drop_last train_sampling_strategy "
        "dataloader_in_order dataset_resampled instances_buffer_size sampler no_shuffle"
    ),
    "the loader sets this itself; train.workers and train.prefetch are its options": (
        "pin_memory pin_mem dataloader_pin_memory persistent_workers dataloader_persistent_workers "
        "dataloader_multiprocessing_context multiprocessing_context"
    ),
    "an interrupted run goes on bit for bit as it is; no option is needed": (
        "full_determinism deterministic cudnn_deterministic use_deterministic_algorithms cudnn_benchmark benchmark"
    ),
    "matrices are multiplied in what train.precision says; TF32 has no option": (
        "tf32 allow_tf32 matmul_precision float32_matmul_precision"
    ),
    "batch norm goes over the batches of all processes": "sync_batchnorm sync_bn use_bn_sync",
    "a contrast goes over the batches of all processes": "local_loss gather_with_grad",
    "batch_size is as the spec says; train.accumulate cuts a batch, and tp show tells the memory": (
        "auto_find_batch_size auto_scale_batch_size scale_batch_size"
    ),
    "a batch is a number of samples (train.batch_size); data.bucket puts those of one length together": (
        "max_tokens max_num_tokens max_num_elements max_tokens_per_batch tokens_per_batch batch_tokens batch_by_tokens"
    ),
    "all records are read: train.steps or train.epochs says how long": (
        "max_train_samples max_samples train_num_samples limit_train_batches overfit_batches max_steps_per_epoch "
        "steps_per_epoch train_epoch_length subset num_samples"
    ),
    "no part of the data is split off: data.eval names files": (
        "validation_split_percentage validation_split val_split test_split split splits val_size test_size eval_split "
        "valid_ratio val_set_size dev_ratio"
    ),
    "the ending of a file says its format, and data.columns what is read of it": (
        "dataset_type data_format file_format file_type format json_format_corpus csv_separator delimiter sep "
        "dataset_config_name dataset_config"
    ),
    "files are read where they are: copy remote ones first": "data_remote remote streaming s3_path bucket_name",
    "prepared data are kept, and used again (tp cache)": (
        "overwrite_cache preprocessing_batch_size use_cache_file keep_in_memory reset_data"
    ),
    "masks are drawn anew each time a sample is read": (
        "dup_factor dupe_factor dynamic_masking static_masking docs_buffer_size"
    ),
    "embeddings get no noise, but hooks train with moved ones: train.hooks: [fgm] or [pgd]": (
        "neftune_noise_alpha use_adv adv_type adv_train fgm_epsilon pgd_k pgd_epsilon pgd_alpha adversarial fgm pgd "
        "adv_epsilon"
    ),
    "R-Drop is a hook: train.hooks: [rdrop: {alpha: 1.0}]": "rdrop r_drop use_rdrop rdrop_alpha rdrop_coef reg_alpha",
    "options stand below the name of what they are for: optimizer: {adamw: {eps: 1e-6}}": (
        "optim_args opt_kwargs optimizer_kwargs optimizer_params lr_scheduler_kwargs scheduler_kwargs schedule_kwargs "
        "kwargs config_overrides"
    ),
    "the optimizer has one implementation, fused where torch has that": (
        "amsgrad foreach fused capturable maximize implementation centered optimizer_in_backward early_step_in_backward"
    ),
    "kernels are those of torch; train.compile: true fuses what it can": (
        "use_liger_kernel liger_kernel_config use_kernels"
    ),
    "a loss is divided by the count over all processes and micro-batches": "average_tokens_across_devices",
    "buffers that a process fills by itself are the first one's in evaluations and checkpoints": (
        "ddp_broadcast_buffers broadcast_buffers"
    ),
    "the first process writes for all": "save_on_each_node save_for_all_ranks",
    "train.compile: true compiles with torch's defaults": (
        "torch_compile_backend torch_compile_mode compile_mode compile_backend dynamo dynamo_backend torchdynamo "
        "enable_compiled_autograd torchscript torchcompile_mode jit"
    ),
    "memory is freed by torch itself": "torch_empty_cache_steps empty_cache_freq empty_cache gc_freq gc_debug",
    "a checkpoint has what a run needs to go on, and the run's model/ the weights alone": (
        "save_only_model save_model_only save_safetensors last_save_model_only async_mode async_checkpoint "
        "enable_jit_checkpoint save_optimizer_state save_optimizer no_save_optimizer_state save_weights_only "
        "save_most_recent save_last enable_checkpointing enable_checkpoint"
    ),
    "generation keeps keys and values by itself": "use_cache past_key_values cache_implementation",
    "there is no profiler; a hook of train.hooks may start torch's": (
        "profiling profiler profile enable_profiling profile_freq profile_memory enable_memory_snapshot"
    ),
    "weights have the layout that torch gives them": "channels_last memory_format init_device meta_init",
    "the loss is that of the target; tp modules --kind target lists them": (
        "loss loss_fn loss_type criterion objective bce_loss problem_type focal_loss"
    ),
    "the task is what model.target names": "task task_name task_type finetuning_task",
    "image tokens stand behind the ids of the tokenizer": "vocab_bias",
    "gsg masks the sentences that are most like the rest of their document": "sentence_selection_strategy",
    "this has no effect in TencentPretrain, and there is nothing for it": "layer_number_scale",
}
