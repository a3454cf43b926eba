#!/usr/bin/env bash
# Several machines with Slurm:
#
#     sbatch --nodes 8 --gpus-per-node 8 docs/launch/slurm.sh SPEC [KEY=VALUE ...] --run DIR
#
# Slurm starts one torchrun on each machine, and torchrun one process on each GPU. Slurm sends SIGUSR1 90 s before the
# time is over: the run saves. The end itself is SIGTERM, on which the run saves and stops. Submit again with --resume.
#SBATCH --job-name=tp
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=64
#SBATCH --signal=USR1@90
#SBATCH --open-mode=append
set -euo pipefail
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=300   # seconds that torchrun waits for a run that saves
exec srun --kill-on-bad-exit=1 torchrun \
    --nnodes "$SLURM_NNODES" \
    --nproc-per-node "${PROCESSES:-gpu}" \
    --rdzv-backend c10d \
    --rdzv-endpoint "$first:${PORT:-29500}" \
    --rdzv-id "$SLURM_JOB_ID" \
    -m tp_core -- train "$@"
