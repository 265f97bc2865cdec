# Ends what a user runs.
# shellcheck shell=sh
end_processes() { # NAME
    if [ -d /run/systemd/system ]; then
        loginctl terminate-user "$1" 2>/dev/null || true
    fi
    pkill -TERM -u "$1" || return 0
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        pgrep -u "$1" >/dev/null || return 0
        sleep 0.3
    done
    pkill -KILL -u "$1" || true
    sleep 0.3
}
