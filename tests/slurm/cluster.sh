# A throw-away Slurm cluster of several hosts on one machine; `source`d by run.sh, which is its sandbox.
#
# Every host has its own network, processes, mounts, name and /tmp, so that it can lose its power or its network. All hosts
# share $D/shared, which stands for the file system that all nodes of a cluster see. Nothing of /etc is read or written,
# and there is no way out of the sandbox's network.

# The controller's address lies on the bridge: an end of a cable would go with the host at the other end.
readonly NETWORK=10.77.0 CONTROLLER=10.77.0.254
export SLURM_CONF=$D/slurm.conf

# cluster_start N: a controller, and hosts n1 to nN; n1 says that it has a card, the others that they have none.
cluster_start() {
  local n=$1 i
  mkdir -p "$D"/{state,log,run,spool,shared}
  chmod 755 "$D"
  hostname ctl
  ip link set lo up
  ip link add br0 type bridge
  ip addr add "$CONTROLLER/24" dev br0
  ip link set br0 up
  {
    cat <<CONF
ClusterName=test
SlurmctldHost=ctl($CONTROLLER)
SlurmUser=root
SlurmdUser=root
# A requeued job waits until the credential of its first start is no longer good.
AuthInfo=socket=$D/run/munge.sock,cred_expire=5
StateSaveLocation=$D/state
SlurmctldPidFile=$D/run/slurmctld.pid
SlurmctldLogFile=$D/log/slurmctld.log
SlurmdSpoolDir=$D/spool/%n
SlurmdPidFile=$D/run/slurmd.%n.pid
SlurmdLogFile=$D/log/slurmd.%n.log
# Works without cgroups and systemd.
ProctrackType=proctrack/linuxproc
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
# Long, so that a busy machine loses no host by itself; tests say themselves that one is down.
SlurmdTimeout=30
MessageTimeout=10
KillWait=5
MaxArraySize=5
SchedulerParameters=sched_interval=1,bf_interval=1
GresTypes=gpu
NodeName=n1 NodeAddr=$NETWORK.1 CPUs=1 RealMemory=1024 Gres=gpu:1
CONF
    for ((i = 2; i <= n; i++)); do
      echo "NodeName=n$i NodeAddr=$NETWORK.$i CPUs=1 RealMemory=1024"
    done
    echo "PartitionName=main Nodes=ALL Default=YES MaxTime=60 State=UP"
  } > "$SLURM_CONF"
  echo "NodeName=n1 Name=gpu File=/dev/null" > "$D/gres.conf"
  (umask 077; head -c 128 /dev/urandom > "$D/run/munge.key")
  munged --key-file="$D/run/munge.key" --socket="$D/run/munge.sock" --pid-file="$D/run/munged.pid" \
    --log-file="$D/log/munged.log" --seed-file="$D/run/munge.seed" --origin="$CONTROLLER" --num-threads=2
  slurmctld
  for ((i = 1; i <= n; i++)); do host_on "$i"; done
  until_true 20 all_idle "$n" || { sinfo -N >&2; return 1; }
}

all_idle() { [ "$(sinfo -h -N -t idle -o %N 2> /dev/null | wc -l)" = "$1" ]; }

# until_true SECONDS COMMAND...: waits until a command succeeds.
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}

# host_on I: switches a host on. The first process in it is the host: with it all of its processes end.
host_on() {
  local i=$1 gate=$D/run/gate.$1 outer init=
  rm -f "$gate"
  mkfifo "$gate"
  unshare --net --pid --mount --uts --ipc --fork --kill-child --mount-proc bash -c '
    set -eu
    cd /
    read -r _ < "$2" # the cable is plugged in
    hostname "n$1"
    mount -t tmpfs none /tmp
    ip link set lo up
    ip link set eth0 up
    slurmd -D &
    wait -n' _ "$i" "$gate" > "$D/log/host.$i.log" 2>&1 &
  outer=$!
  disown
  echo "$outer" > "$D/run/host.$i"
  while [ -z "$init" ]; do
    sleep 0.02
    read -r init _ < "/proc/$outer/task/$outer/children" || : # the line has no end
  done
  ip link add "v$i" type veth peer name eth0 netns "$init"
  nsenter -t "$init" -n ip addr add "$NETWORK.$i/24" dev eth0
  ip link set "v$i" master br0 up
  echo > "$gate"
}

# host_off I: a power cut.
host_off() {
  kill -9 "$(< "$D/run/host.$1")"
  ip link del "v$1" 2> /dev/null || :
}

# The cable of a host is pulled out; its processes go on, and see the shared files.
cable_out() { ip link set "v$1" down; }
cable_in() { ip link set "v$1" up; }

# lost I: tells the controller at once what it would find out after SlurmdTimeout.
lost() { scontrol update nodename="n$1" state=down reason=test; }
found() { scontrol update nodename="n$1" state=resume 2> /dev/null || :; }

# shard_process HOST: the process of a shard that runs on a host.
shard_process() {
  local process pid
  for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    if tr '\0' ' ' < "$process/cmdline" 2> /dev/null | grep -q '^[^ ]*cambench shard ' \
      && [ "$(nsenter -t "$pid" -u hostname 2> /dev/null)" = "$1" ]; then
      echo "$pid"
      return
    fi
  done
  return 1
}
