#!/usr/bin/env bash
# A Ray cluster that is up: submit a run as a Ray job, follow its log, and end with its status.
#
#   launch/ray-job.sh CONFIG run.dir=/shared/path [key=value ...]
#
# RAY_API_SERVER_ADDRESS   the cluster's dashboard, http://127.0.0.1:8265 if unset
# FILES                    folder that travels with the job, for configs and reward functions of one's own; the current one if
#                          unset. Paths in the config are relative to it.
#
# Every node needs `reft` installed and the file system that run.dir lies on; this machine and the head need `ray[default]`.
# The same command goes on where the run stopped. `ray job stop` has it save first, if the cluster was started with
# RAY_JOB_STOP_WAIT_TIME_S long enough for a step: Ray's own default is three seconds.
set -euo pipefail
if [ $# -lt 2 ] || ! printf '%s\n' "${@:2}" | grep -q '^run\.dir=/'; then
    echo "usage: $0 CONFIG run.dir=/shared/path [key=value ...]   (run.dir must be absolute: the job's own folder is temporary)" >&2
    exit 2
fi
# A cluster started where a token lies asks for it; `ray job`, unlike ray.init, must be told so.
if [ -z "${RAY_AUTH_MODE:-}" ] && [ -n "${RAY_AUTH_TOKEN:-}$(ls "${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}" 2>/dev/null)" ]; then
    export RAY_AUTH_MODE=token
fi
export RAY_API_SERVER_ADDRESS=${RAY_API_SERVER_ADDRESS:-http://127.0.0.1:8265}
exec ray job submit --working-dir "${FILES:-.}" \
    --runtime-env-json '{"excludes": [".git", ".venv", "runs"]}' \
    -- reft run "$@"
