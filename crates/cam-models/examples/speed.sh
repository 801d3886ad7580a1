#!/bin/sh
# Rust against stock PyTorch, side by side: ROUNDS rounds of `speed.rs` and `speed.py` in turn, then the medians over
# the rounds and their ratio. PYTHON needs torch, torchvision and efficientnet_lite_pytorch.
#
#     PYTHON=python3 ROUNDS=5 SECONDS_EACH=4 THREADS=2 crates/cam-models/examples/speed.sh [NAME...]
set -eu
cd "$(dirname "$0")/../../.."
cargo build --quiet --release -p cam-models --example speed
times=$(mktemp)
trap 'rm -f "$times"' EXIT
for round in $(seq "${ROUNDS:-5}"); do
    target/release/examples/speed "${THREADS:-2}" "${SECONDS_EACH:-4}" "$@" >>"$times"
    "${PYTHON:-python3}" crates/cam-models/examples/speed.py "${THREADS:-2}" "${SECONDS_EACH:-4}" "$@" >>"$times"
done
"${PYTHON:-python3}" - "$times" <<'END'
import collections, statistics, sys

times = collections.defaultdict(lambda: collections.defaultdict(list))
for line in open(sys.argv[1]):
    who, name, median, _ = line.split()
    times[name][who].append(float(median))
print(f"{'ms per image':24}{'python':>10}{'rust':>10}{'ratio':>8}{'bf16':>10}{'ratio':>8}")
for name, by in times.items():
    python, rust, bf16 = (statistics.median(by[who]) for who in ("python", "rust", "rust_bf16"))
    print(f"{name:24}{python:10.2f}{rust:10.2f}{python / rust:8.2f}{bf16:10.2f}{python / bf16:8.2f}")
END
