#!/usr/bin/env bash
# Installs what benchmarks/gateway.py, evals.py and otlp.py compare with, from the package registries, about 6 GB in all.
# They go to $RONDO_PEERS (build/peers by default); one that cannot be installed is left out of the comparison.
# Needs Python 3.11 ($PYTHON) and, for Portkey, Node 20; promptfoo brings its own Node. Versions are pinned, so that
# figures can be compared.
set -euo pipefail
cd "$(dirname "$0")/.."

peers="${RONDO_PEERS:-build/peers}"
python="${PYTHON:-python3.11}"
mkdir -p "$peers"

from_pypi() { # folder, requirement
    if [ ! -x "$peers/$1/bin/pip" ]; then "$python" -m venv "$peers/$1"; fi
    "$peers/$1/bin/pip" install --quiet --disable-pip-version-check "$2"
}

from_npm() { # folder, requirements
    mkdir -p "$peers/$1"
    npm install --silent --no-fund --no-audit --prefix "$peers/$1" "${@:2}"
}

missing=0
from_pypi litellm 'litellm[proxy]==1.106.2' || { echo "LiteLLM could not be installed" >&2; missing=1; }
from_npm portkey '@portkey-ai/gateway@1.15.2' || { echo "Portkey could not be installed" >&2; missing=1; }
from_pypi tensorzero 'tensorzero==2026.6.0' || { echo "TensorZero could not be installed" >&2; missing=1; }
from_npm promptfoo 'promptfoo@0.123.1' 'node@22' || { echo "promptfoo could not be installed" >&2; missing=1; }
from_pypi deepeval 'deepeval==4.3.1' || { echo "DeepEval could not be installed" >&2; missing=1; }
from_pypi phoenix 'arize-phoenix==20.26.0' || { echo "Phoenix could not be installed" >&2; missing=1; }
from_pypi mlflow 'mlflow==3.17.2' || { echo "MLflow could not be installed" >&2; missing=1; }
exit "$missing"
