#!/usr/bin/env bash
# Makes an environment for each peer that is compared, under a cache folder, from pinned versions.
#
#   benchmarks/peers.sh [FOLDER]      # default ~/.cache/anyprefer-peers; prints the variables for benchmarks.run
#
# Another Python: PYTHON=python3.12 benchmarks/peers.sh
set -euo pipefail

folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/anyprefer-peers}
mkdir -p "$folder"

peer() {
    local name=$1
    shift
    if [ ! -e "$folder/$name/.ready" ]; then
        "${PYTHON:-python3}" -m venv --clear "$folder/$name"
        "$folder/$name/bin/pip" install --quiet --disable-pip-version-check "$@" >&2
        touch "$folder/$name/.ready"
    fi
    echo "export ${name^^}_PYTHON=$folder/$name/bin/python"
}

peer curator bespokelabs-curator==0.1.31 openai==2.30.0 litellm==1.83.7
peer data_designer data-designer==0.9.6
# distilabel imports requests without asking for it
peer distilabel 'distilabel[openai]==1.5.3' openai==3.54.0 requests
