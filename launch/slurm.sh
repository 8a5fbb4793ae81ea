#!/usr/bin/env bash
# A Slurm job: on one node a run as it is, on several one over a Ray cluster that is there for as long as the job.
#
#   sbatch --time=HH:MM:SS [--nodes=N --gpus-per-node=G ...] launch/slurm.sh CONFIG run.dir=/shared/path [key=value ...]
#
# PORT    where the head of a Ray cluster of several nodes listens, 6379 if unset; a token made for the job guards it
#
# `reft` is taken from the environment in which the job is submitted, which every node must see, as it must see run.dir. Three
# minutes before the time is up, or at `scancel --signal=TERM --batch`, the run saves and the job is queued again, to go on from
# there; --signal=B:TERM@SECONDS gives a run with long steps more. `scancel` alone has it save as well, in the seconds that Slurm
# grants (KillWait), and ends the job.
#SBATCH --job-name=reft
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --ntasks-per-node=1
#SBATCH --signal=B:TERM@180
#SBATCH --requeue
set -euo pipefail
if [ $# -lt 2 ] || ! printf '%s\n' "${@:2}" | grep -q '^run\.dir='; then
    echo "usage: sbatch $0 CONFIG run.dir=/shared/path [key=value ...]   (a job that is queued again must find its run)" >&2
    exit 2
fi
nodes=${SLURM_JOB_NUM_NODES:?is not set: submit this script with sbatch}
read -r first < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
at_first=(srun --overlap --nodes=1 --ntasks=1 --nodelist="$first")
settings=()

if [ "$nodes" -gt 1 ]; then
    for address in $("${at_first[@]}" hostname --ip-address); do
        [[ $address == *:* ]] || break # the first of version 4
    done
    port=${PORT:-6379}
    export RAY_AUTH_MODE=token
    RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
    export RAY_AUTH_TOKEN
    resources=(--num-cpus="$SLURM_CPUS_ON_NODE" --num-gpus="${SLURM_GPUS_ON_NODE:-0}" --disable-usage-stats --block)
    log=${SLURM_JOB_NAME:-reft}-$SLURM_JOB_ID.ray.log # `ray start` has much to say
    "${at_first[@]}" ray start --head --node-ip-address="$address" --port="$port" --include-dashboard=false "${resources[@]}" \
        >> "$log" &
    deadline=$((SECONDS + ${WAIT:-600}))
    until timeout 60 ray health-check --address "$address:$port" 2> /dev/null; do
        kill -0 $! 2> /dev/null || exit 1 # the head has ended, and said why
        [ "$SECONDS" -lt "$deadline" ] || { echo "$0: the head of the Ray cluster does not answer; see $log" >&2; exit 1; }
        sleep 1
    done
    srun --overlap --nodes=$((nodes - 1)) --ntasks=$((nodes - 1)) --exclude="$first" \
        ray start --address="$address:$port" "${resources[@]}" >> "$log" &
    python - "$address:$port" "$nodes" "${WAIT:-600}" << 'END' # a run that does not fit is refused, so all must be there
import sys, time, ray
ray.init(sys.argv[1], logging_level="error", log_to_driver=False)
wanted, ends = int(sys.argv[2]), time.monotonic() + float(sys.argv[3])
while (there := sum(node["Alive"] for node in ray.nodes())) < wanted:
    if time.monotonic() > ends:
        sys.exit(f"{there} of {wanted} nodes have joined the Ray cluster within {sys.argv[3]} s (WAIT)")
    time.sleep(1)
END
    settings=("ray.address=$address:$port")
fi

reft run "$@" "${settings[@]}" & # the script itself is on the first node
run=$!
again=
trap 'again=yes; kill -TERM "$run"' TERM
status=0
wait "$run" || status=$?
while kill -0 "$run" 2> /dev/null; do # what was waited for was the signal
    status=0
    wait "$run" || status=$?
done
trap - TERM
if [ "$again" ] && [ "$status" -eq 0 ] && [[ $(scontrol show job "$SLURM_JOB_ID") == *JobState=RUNNING* ]]; then
    scontrol requeue "$SLURM_JOB_ID" # not where somebody has cancelled it
fi
if [ "$(jobs -p)" ]; then
    kill $(jobs -p) # Ray's nodes
    wait || true
fi
exit "$status"
