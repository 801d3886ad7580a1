#!/bin/sh
# Milliseconds per image of cambench and of stock PyTorch, side by side, as a Markdown table: ROUNDS rounds of
# `speed.rs` and `speed.py` in turn, then the medians over the rounds. PYTHON needs torch, torchvision and
# efficientnet_lite_pytorch.
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
print("| ms per image, batch 16 | PyTorch | cambench | times as fast | cambench bf16 | times as fast |")
print("|---|---:|---:|---:|---:|---:|")
for name, by in times.items():
    python, rust, bf16 = (statistics.median(by[who]) for who in ("python", "rust", "rust_bf16"))
    print(f"| {name} | {python:.2f} | {rust:.2f} | {python / rust:.1f} | {bf16:.2f} | {python / bf16:.1f} |")
END
