#!/usr/bin/env bash
# Several machines with torchrun: run this on each of them, with the same first argument.
#
#     ./torchrun.sh FIRST_MACHINE[:PORT] MACHINES SPEC [KEY=VALUE ...] [--run DIR] [--resume]
#
# FIRST_MACHINE is the name of one of the machines. Its torchrun hosts the list of processes. MACHINES is their number.
# All machines need the spec, the data and the folder of the run, usually on a shared file system.
set -euo pipefail
meeting=$1 machines=$2
shift 2
exec torchrun \
    --nnodes "$machines" \
    --nproc-per-node "${PROCESSES:-gpu}" \
    --rdzv-backend c10d \
    --rdzv-endpoint "$meeting" \
    --rdzv-id "${RUN_ID:-tp}" \
    --rdzv-conf "join_timeout=${JOIN_TIMEOUT:-600}" \
    -m tp_core -- train "$@"
