# Read by the batch script of each job before its own command (`precommand` in config.yaml). It runs
# that command as a child, so that this shell is free to hear what SLURM says:
#   SIGUSR1  the time limit is near (`--signal` in pretrain.smk): hand the job back to the queue.
#   SIGTERM  SLURM ends the job (handed back, pre-empted, cancelled): wait for the child, which
#            saves its state.
# A job that was handed back keeps its SLURM id and goes on from its saved state.
if [ "${SISTA_BATCH:-}" = "$SLURM_JOB_ID" ]; then
    # A trap, unlike an ignored signal, is not inherited: what this script starts can be stopped.
    trap : TERM USR1
else
    export SISTA_BATCH="$SLURM_JOB_ID"
    task=$SLURM_JOB_ID
    command=
    if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
        task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
        command=$(python workflow/profiles/slurm/array_task.py "$0" "$SLURM_ARRAY_TASK_ID") || exit
    fi
    near_limit=no
    trap near_limit=yes USR1
    trap : TERM
    if [ -n "$command" ]; then sh -c "$command" & else sh "$0" & fi
    child=$!
    while :; do
        wait "$child"
        code=$?
        kill -0 "$child" 2>/dev/null || break
        # A job that comes back so often makes no progress: its time limit may end it.
        if [ "$near_limit" = yes ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 100 ]; then
            near_limit=told
            echo "the time limit is near: job $task goes back to the queue"
            scontrol requeue "$task" || echo "not possible: its time limit will end it"
        fi
    done
    exit "$code"
fi
