#!/usr/bin/env bash
# One machine: make an environment if there is none, then run a config. Ray is started and ended by the run itself.
#
#   launch/laptop.sh [CONFIG] [key=value ...]        CONFIG: a YAML file or a shipped name; quickstart if left out
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
environment=${REFT_VENV:-$here/.venv}

if [ ! -x "$environment/bin/reft" ]; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --editable "$here"
fi
case ${1:-=} in
    *=*) set -- quickstart "$@" ;; # settings only, or nothing at all
esac
exec "$environment/bin/reft" run "$@"
