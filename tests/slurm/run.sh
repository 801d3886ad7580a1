#!/bin/bash
# Runs cambench on a real Slurm cluster of namespaced hosts: `run.sh CAMBENCH SAME`, which `cargo xtask slurm` gives it. SAME
# compares two runs bit for bit. KEEP=1 keeps the cluster's folder.
set -euo pipefail
here=$(dirname "$(realpath "$0")")

if [ -z "${SANDBOX:-}" ]; then
  program=$(realpath "$1")
  same=$(realpath "$2")
  D=$(mktemp -d /var/tmp/cambench-slurm.XXXXXX) # not below /tmp, of which every host has its own
  rc=0
  SANDBOX=$D unshare --net --pid --mount --uts --ipc --fork --kill-child --mount-proc \
    "$BASH" "$0" "$program" "$same" || rc=$?
  [ $rc -eq 0 ] || tail -n 20 "$D"/log/slurmctld.log >&2 || :
  if [ -n "${KEEP:-}" ]; then echo "kept: $D"; else rm -rf "$D"; fi
  exit $rc
fi

readonly D=$SANDBOX cambench=$1 same=$2
. "$here/cluster.sh"

# Where the last command that was expected to succeed stood, for whoever reads a failure.
trap 'echo "failed: $0, line $LINENO: $BASH_COMMAND" >&2' ERR
fail() { echo "failed: $*" >&2; exit 1; }
has() { grep -qE -- "$1" "$2" || { echo "failed: no \"$1\" in $2:" >&2; cat "$2" >&2; exit 1; }; }
ends() { # CODE COMMAND...: the exit code is that one.
  local expected=$1 code=0
  shift
  "$@" > said.out 2> said.err || code=$?
  [ $code = "$expected" ] || { cat said.out said.err >&2; fail "exit code $code, not $expected: $*"; }
}
title() { printf '%3d s  %s\n' $SECONDS "$1"; }
queue() { squeue -h -r -o '%i %j %T %N' "$@"; }
is_empty() { [ -z "$(queue)" ]; }
drain() { until_true "${1:-60}" is_empty || { queue >&2; fail "jobs do not end"; }; }
job_of() { cat "$1/shards/submit/$2.id"; }
# The host on which the first job whose id begins so runs.
runs_on() { queue | awk -v id="$1" 'index($1, id) == 1 && $3 == "RUNNING" { print $4; exit }'; }

# A user who is not root may see libtorch only here.
mkdir "$D/lib"
mount --bind "$(dirname "$(ldd "$cambench" | awk '/libtorch_cpu.so/ { print $3 }')")" "$D/lib"
cluster_start 4
cd "$D/shared"
export CAMBENCH_POLL_SECS=1 CAMBENCH_MERGE_PATIENCE=1 OMP_WAIT_POLICY=passive
title "a cluster of 4 hosts is up"

# Eight photographs, and two networks of a few kilobytes.
networks=$(realpath "$here/../../crates/cam-onnx/tests/vectors/networks")
mkdir photos
i=0
for photo in "$here"/photos/*.png; do cp "$photo" "photos/$((i++)).png"; done
cp "$networks"/{residual,excited}.onnx .
printf 'root: photos\nlayout: files\n' > data.yaml
sweep() { # NAME METHODS
  cat > "$1.yaml" <<YAML
name: $1
dataset: { manifest: data.yaml }
models:
  - { onnx: residual.onnx, preprocessing: { resize: 16, crop: 16, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } }
  - { onnx: excited.onnx, preprocessing: { resize: 16, crop: 16, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } }
methods: $2
metrics: [drop, increase, { name: deletion, steps: 8 }, complexity]
YAML
}
sweep small '[grad_cam, recipro_cam, { name: rise, n_masks: 50 }]'
# A second or so for every image in each network.
sweep slow '[{ name: rise, n_masks: 3000 }, { name: rise, as: more, n_masks: 3000 }]'
one=(--slurm cpus_per_task=1)
$cambench run small.yaml --threads 1 --out local-small > /dev/null 2>&1
$cambench run slow.yaml --threads 1 --out local-slow > /dev/null 2>&1

title "(a) a dry run prints what sbatch accepts, and changes nothing"
$cambench submit small.yaml --out a --images-per-shard 4 "${one[@]}" --slurm time=10 --slurm comment='two words' \
  --slurm setup='echo set up' --dry-run > dry 2> dry.err
[ ! -e a ] || fail "a dry run has made the folder"
# The hash of the plan holds the version of the program.
sed -E "s|$D|D|g; s|cambench-[0-9a-f]{8}|cambench-HASH|" dry > dry.plain
diff "$here/dry-run.golden" dry.plain || fail "the scripts are others than in dry-run.golden"
sed -n '/^#!/,/^exec/p' dry | sed '/^exec/q' > script.sh
sbatch --test-only script.sh > /dev/null 2>&1

title "(b, g) more shards than an array may have: the array and the merge make the records of a local run"
ends 0 $cambench submit small.yaml --out b --images-per-shard 2 "${one[@]}" --wait
[ "$(ls b/shards/submit/*.id | wc -l)" = 2 ] || fail "8 shards are not two arrays of at most 5"
$same local-small b
has 'committed [0-9]+ rows' b/shards/log/0001_0.log
ends 0 $cambench submit small.yaml --out b "${one[@]}"
has 'is finished' said.out

title "(c) a shard that fails is named, alone missing, and alone submitted again"
ends 0 $cambench plan small.yaml --out c --images-per-shard 4 --threads 1
mv excited.onnx away.onnx
ends 5 $cambench submit c "${one[@]}" --wait
has '2 of 4 shards are missing: 2-3' said.err
$cambench status c > status
has 'failed: shard 2 on n[1-4]: .*excited.onnx' status
$cambench logs c 3 > logs
has 'error: .*excited.onnx' logs
ends 5 $cambench merge c
ends 0 $cambench merge c --partial
has '24 of 48 rows' said.out
[ "$(find c -maxdepth 1 -name records.parquet | wc -l)" = 1 ] || fail "no table of what is there"
mv away.onnx excited.onnx
ends 0 $cambench submit c "${one[@]}"
has 'nothing to submit' said.out
ends 0 $cambench submit c "${one[@]}" --resume --wait
[ "$(tr '\n' ' ' < c/shards/submit/0002.list)" = '2 3 ' ] || fail "more than what failed was submitted again"
$same local-small c
ends 0 $cambench clean c
[ ! -e c/shards ] || fail "clean leaves shards in a finished run"

title "(f) two classes of machine are two arrays, each on its hosts"
card=(--class card=excited --images-per-shard 4 "${one[@]}" --slurm card.gres=gpu:1 --slurm setup=hostname)
ends 2 env CUDA_VISIBLE_DEVICES= $cambench submit small.yaml --out f "${card[@]}"
has 'planned for the processor' said.err
ends 0 $cambench submit small.yaml --out f "${card[@]}" --device cpu --wait
$same local-small f
for log in f/shards/log/0001_*.log; do has '^n1$' "$log"; done

title "(j) of two runs of one plan one is canceled; the other, whose merge is lost, is merged by the next command"
ends 0 $cambench submit small.yaml --out j --images-per-shard 4 "${one[@]}"
scancel "$(awk '/merges them/ { print $2 + 0 }' said.out)"
ends 0 $cambench submit small.yaml --out k --images-per-shard 4 "${one[@]}"
ends 0 $cambench cancel k
has 'canceled' said.out
drain
ends 0 $cambench clean j
ends 0 $cambench submit j "${one[@]}" --wait
has 'merges them' said.out
$same local-small j

title "(i) a user who is not root submits"
mkdir theirs
chmod 777 theirs
cp "$cambench" theirs/cambench
(cd theirs && runuser -u nobody -- env LD_LIBRARY_PATH="$D/lib" HOME="$PWD" \
  ./cambench submit ../small.yaml --out i --images-per-shard 8 "${one[@]}" --wait > ../said.out 2> ../said.err) \
  || { cat said.out said.err >&2; fail "nobody cannot submit"; }
[ "$(stat -c %U theirs/i/records.parquet)" = nobody ] || fail "the tables are not theirs"

title "(d) a power cut: the shard runs again on another host"
ends 0 $cambench submit slow.yaml --out d --images-per-shard 4 "${one[@]}"
is_begun() { # RUN N: so many of its shards have rows.
  [ "$(find "$1/shards/parts" -name '.*.draft' -size +1k 2> /dev/null | wc -l)" -ge "$2" ]
}
until_true 30 is_begun d 1
victim=$(runs_on "$(job_of d 0001)")
host_off "${victim#n}"
lost "${victim#n}"
drain 90
host_on "${victim#n}"
found "${victim#n}"
$same local-slow d

title "(e) a host without network goes on while its shard runs elsewhere: one part, and the second writer says so"
ends 0 $cambench submit slow.yaml --out e --images-per-shard 8 "${one[@]}"
until_true 30 is_begun e 2
task=$(job_of e 0001)
victim=$(runs_on "$task")
until_true 20 shard_process "$victim" > pid
pid=$(< pid)
kill -STOP "$pid" # so that it surely is the second
cable_out "${victim#n}"
lost "${victim#n}"
drain 90
[ "$(ls e/records.parquet)" = e/records.parquet ] || fail "the other hosts have not finished"
kill -CONT "$pid"
is_gone() { [ ! -e "/proc/$1" ]; }
until_true 60 is_gone "$pid"
cat e/shards/log/0001_*.log > logs
has 'committed by another process|duplicate: another process was first, with the same rows' logs
[ -z "$(find e/shards/parts -name '.*' -type f 2> /dev/null)" ] || fail "a draft is left"
cable_in "${victim#n}"
found "${victim#n}"
$same local-slow e

title "(h) out of time, a task ends cleanly and has itself queued again; canceled, it ends cleanly; nothing made is lost"
ends 0 $cambench submit slow.yaml --out h --images-per-shard 8 "${one[@]}"
until_true 30 is_begun h 2
task=$(job_of h 0001)
scancel --batch --signal=USR1 "${task}_0"
is_requeued() { grep -q 'is queued again' h/shards/log/0001_0.log; }
until_true 20 is_requeued
has 'stopped with [1-9][0-9]* of 16 rows' h/shards/log/0001_0.log
ends 0 $cambench cancel h
has 'canceled' said.out
drain 30
ends 5 $cambench merge h
ends 0 $cambench submit h "${one[@]}" --resume --wait
has '[1-9][0-9]* of 16 rows are there' h/shards/log/0002_0.log
$same local-slow h

title "all cases passed"
