#!/bin/sh
# The main process of a node, under the engine's init, which reaps what is left behind. Runs the SSH server. After a
# restart it also starts the services that the node had: there is no systemd to do it. Told to stop, it lets them end.
# Its status says who told it: the engine starts it again after any but 0, which is the node's own wish to end (USR1).
set -u
umask 022

python=/opt/clusterctl/env/bin/python
config=/var/lib/clusterctl/services/supervisord.conf
pidfile=/run/clusterctl/supervisord.pid
sshd=

# Whether a process still is, as a number that may be empty.
lives() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }

finish() {
    trap '' TERM INT USR1
    [ -z "$sshd" ] || kill "$sshd" 2>/dev/null # no new logins
    manager=$(cat "$pidfile" 2>/dev/null)
    if lives "$manager"; then
        kill "$manager" # it ends its services first
        tries=0
        while lives "$manager" && [ "$tries" -lt 120 ]; do
            sleep 0.1
            tries=$((tries + 1))
        done
    fi
    exit "$1"
}
trap 'finish 143' TERM INT
trap 'finish 0' USR1

# Each engine costs an open file in every relay of the controller. What the engine of Docker may not give cannot be had.
ulimit -S -n 65536 2>/dev/null || ulimit -S -n "$(ulimit -H -n)"

# /run is empty at each boot.
mkdir -p /run/sshd /run/lock
chmod 1777 /run/lock
[ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id

# Before the SSH server: whoever logs in finds either no service manager or one that is up, never one half started.
if [ -x "$python" ] && [ -r "$config" ]; then
    # Proxy and certificates, for the services too.
    if [ -r /etc/clusterctl/environment ]; then
        set -a
        # shellcheck source=/dev/null
        . /etc/clusterctl/environment
        set +a
    fi
    mkdir -p "${pidfile%/*}"
    chmod 0700 "${pidfile%/*}"
    timeout 20 "$python" -m supervisor.supervisord -c "$config" </dev/null || echo "the services did not start" >&2
    tries=0
    while [ ! -s "$pidfile" ] && [ "$tries" -lt 50 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
fi

# Again when it ends, whatever ends it: a deaf one is ended by the node's watch.
while :; do
    /usr/sbin/sshd -D -e &
    sshd=$!
    wait "$sshd"
    sleep 0.5
done
