# One owner on a node: a script of one run of clusterctl goes on only where no other run is at work. remote/owner.py sends
# this before every script that changes a node, and says in variables whose script it is:
#   owner_place   the folder for what is known here; empty for a user who is not root
#   owner_home, owner_turn, owner_run, owner_since, owner_who, owner_what   the run, as in decision 0063
#   owner_word    begins what only remote/owner.py reads
# In the folder are owner.N, the owner of the epoch N, and for each script a file of the name in CLUSTERCTL_SCRIPT, which
# all its processes have in their environment: its shell, its session and its SSH session; then "begins"; then "ends".
# shellcheck shell=sh
# shellcheck disable=SC2154  # these variables
owner_stat() { # PID: sets owner_parent, owner_session, owner_born and owner_called; fails unless it runs
    if [ -e /proc/self/stat ]; then
        { read -r owner_line < "/proc/$1/stat"; } 2>/dev/null || return 1
        owner_called=${owner_line#*\(}
        owner_called=${owner_called%\)*}
        # shellcheck disable=SC2086  # numbers
        set -- ${owner_line##*\) }
        [ $# -ge 20 ] || return 1
        owner_parent=$2 owner_session=$4 owner_born=${20}
    else
        # shellcheck disable=SC2046  # words
        set -- $(LC_ALL=C ps -o stat= -o ppid= -o pgid= -o lstart= -p "$1" 2>/dev/null)
        [ $# -ge 8 ] || return 1
        owner_parent=$2 owner_session=$3 owner_born=$4-$5-$6-$7-$8 owner_called=
    fi
    case $1 in Z* | X*) return 1 ;; esac
}
owner_lives() { # PID BORN
    owner_stat "$1" && [ "$owner_born" = "$2" ]
}
owner_read() { # SCRIPT: sets what its file says; owner_state is asks, begins or ends
    its_shell='' its_born='' its_session='' its_ssh='' its_ssh_born='' owner_state=asks
    {
        read -r its_shell its_born its_session its_ssh its_ssh_born || :
        while read -r owner_line; do owner_state=$owner_line; done
    } 2>/dev/null < "$owner_place/$1" || owner_state=ends # another one has swept it
}
owner_members() { # SCRIPT EXCEPT, after owner_read: sets owner_pids to its processes, but for what has left its session
    owner_pids=
    if [ ! -e /proc/self/stat ]; then
        owner_lives "${its_shell:-0}" "$its_born" || return 0
        owner_found=$(ps -A -o pid= -o pgid= | awk -v its="$its_session" '$2 == its { print $1 }')
    else
        owner_found=
        for owner_entry in /proc/[0-9]*; do
            owner_entry=${owner_entry#/proc/}
            owner_stat "$owner_entry" && [ "$owner_session" = "${its_session:-$owner_session}" ] || continue
            { tr '\0' '\n' < "/proc/$owner_entry/environ"; } 2>/dev/null | grep -qxF "CLUSTERCTL_SCRIPT=$1" || continue
            owner_found="$owner_found $owner_entry"
        done
    fi
    for owner_entry in $owner_found; do
        [ "$owner_entry" = "$2" ] || owner_pids="$owner_pids $owner_entry"
    done
}
owner_is_at_work() { # RUN: one of its SSH sessions is up, or a script of it goes on where no session is to be seen
    for owner_file in "$owner_place/script.$1."*; do
        owner_script=${owner_file##*/}
        owner_read "$owner_script"
        if [ -n "$its_ssh_born" ]; then
            ! owner_lives "$its_ssh" "$its_ssh_born" || return 0
        elif [ "$owner_state" != ends ]; then
            owner_members "$owner_script" ""
            [ -z "$owner_pids" ] || return 0
        fi
    done
    return 1
}
owner_end() { # SCRIPT EXCEPT: ends its processes and waits for that; where some stay it fails, and they are in owner_pids
    owner_tries=0
    owner_told=
    while :; do
        owner_read "$1"
        [ "$owner_state" != ends ] || return 0
        owner_members "$1" "$2"
        [ -n "$owner_pids" ] || return 0
        [ "$owner_tries" -lt 150 ] || return 1
        if [ "$owner_tries" -ge 50 ]; then
            # shellcheck disable=SC2086  # numbers
            kill -s KILL $owner_pids 2>/dev/null || :
        elif [ "$owner_state" = begins ]; then # one that asks goes on or gives up by itself
            for owner_entry in $owner_pids; do
                case "$owner_told " in *" $owner_entry "*) continue ;; esac
                kill -s TERM "$owner_entry" 2>/dev/null || :
                owner_told="$owner_told $owner_entry"
            done
        fi
        owner_tries=$((owner_tries + 1))
        sleep 0.1
    done
}
owner_refuse() { # WORD WHO WHAT SINCE DETAIL: what remote/owner.py reads, and the end of this script
    echo ends >> "$owner_place/$CLUSTERCTL_SCRIPT"
    printf '%s\n' "$owner_word $1" "$2" "$3" "$4" "$5" >&2
    exit 75
}
owner_take() { # become the owner, unless this run is
    owner_tries=0
    owner_patience=10
    while [ "$owner_tries" -lt 100 ]; do
        owner_tries=$((owner_tries + 1))
        owner_epoch=0 its_run='' its_home='' its_since='' its_who='' its_what='' its_past=''
        for owner_file in "$owner_place"/owner.*; do
            case ${owner_file##*.} in '*') continue ;; esac
            [ "${owner_file##*.}" -le "$owner_epoch" ] || owner_epoch=${owner_file##*.}
        done
        if [ "$owner_epoch" -gt 0 ]; then
            {
                read -r its_run
                read -r its_home
                read -r its_since
                read -r its_who
                read -r its_what
                read -r its_past
            } 2>/dev/null < "$owner_place/owner.$owner_epoch" || continue # a newer owner has swept it
        fi
        [ "$its_run" != "$owner_run" ] || return 0
        owner_past=
        for owner_entry in $its_past; do # HOME:TURN:RUN, the last one of each home
            case $owner_entry in
                "$owner_home:"*)
                    owner_entry=${owner_entry#*:}
                    if [ "${owner_entry#*:}" = "$owner_run" ] || [ "$owner_turn" -lt "${owner_entry%%:*}" ]; then
                        owner_refuse late "$its_who" "$its_what" "$its_since" ""
                    fi
                    ;;
                *) owner_past="$owner_past $owner_entry" ;;
            esac
        done
        # That a former command of one home is over is known there: it would hold the lock of the cluster.
        if [ -n "$its_run" ] && [ "$its_home" != "$owner_home" ] && owner_is_at_work "$its_run"; then
            # A command that has just ended may not have left yet.
            [ "$owner_patience" -gt 0 ] || owner_refuse busy "$its_who" "$its_what" "$its_since" "$its_ssh"
            owner_patience=$((owner_patience - 1))
            sleep 0.1
            continue
        fi
        printf '%s\n' "$owner_run" "$owner_home" "$owner_since" "$owner_who" "$owner_what" \
            "$owner_past $owner_home:$owner_turn:$owner_run" > "$owner_place/new.$CLUSTERCTL_SCRIPT" || exit 73
        # One of those who come at once makes it; then everybody looks again.
        ln "$owner_place/new.$CLUSTERCTL_SCRIPT" "$owner_place/owner.$((owner_epoch + 1))" 2>/dev/null || :
    done
    echo "nobody can own this node: $owner_place does not take the files for it" >&2
    exit 73
}
owner_clear() { # end what scripts of other runs have left, wait for that, and forget them
    owner_gone=
    for owner_file in "$owner_place"/*.*; do
        owner_script=${owner_file##*/}
        case $owner_script in
            '*.*' | "script.$owner_run."* | "owner.$owner_epoch") continue ;;
            script.*)
                if ! owner_end "$owner_script" ""; then
                    owner_names=
                    for owner_entry in $owner_pids; do
                        ! owner_stat "$owner_entry" || owner_names="$owner_names $owner_called ($owner_entry)"
                    done
                    owner_refuse stuck "" "" "" "$owner_names"
                fi
                ;;
            owner.*) [ "${owner_script#owner.}" -lt "$owner_epoch" ] || continue ;;
        esac
        owner_gone="$owner_gone $owner_script"
    done
    # shellcheck disable=SC2086  # names without blanks
    [ -z "$owner_gone" ] || (cd "$owner_place" && rm -f $owner_gone)
}
owner_watch() { # end the script once nobody is at the other end: its input ends with the connection
    while read -r owner_line; do :; done
    trap '' TERM
    owner_self=0
    if [ -e /proc/self/stat ]; then
        read -r owner_self owner_line < /proc/self/stat
    else
        owner_self=$(sh -c 'echo "$PPID"')
    fi
    ! owner_end "$CLUSTERCTL_SCRIPT" "$owner_self" || echo ends >> "$owner_place/$CLUSTERCTL_SCRIPT"
}
owner_main() {
    if [ -z "$owner_place" ]; then
        owner_place=/tmp/clusterctl-user-$(id -u)
        [ -d "$owner_place" ] || mkdir -m 700 "$owner_place" || [ -d "$owner_place" ] || exit 73
        # shellcheck disable=SC3067  # dash, bash and busybox know -O
        if [ -L "$owner_place" ] || [ ! -O "$owner_place" ]; then
            echo "$owner_place belongs to somebody else" >&2
            exit 73
        fi
    fi
    [ -d "$owner_place" ] || (umask 022 && mkdir -p "$owner_place") || exit 73
    owner_place=$owner_place/owner
    [ -d "$owner_place" ] || mkdir -m 700 "$owner_place" 2>/dev/null || [ -d "$owner_place" ] || exit 73
    if ! owner_stat $$; then
        echo "neither /proc nor ps tells of processes here" >&2
        exit 73
    fi
    owner_shell="$$ $owner_born $owner_session"
    owner_ssh=
    while [ "$owner_parent" -gt 1 ] && [ -z "$owner_ssh" ]; do
        owner_entry=$owner_parent
        owner_stat "$owner_entry" || break
        case $owner_called in sshd | sshd-session | dropbear) owner_ssh="$owner_entry $owner_born" ;; esac
    done
    # What is begun is written before the owner is read, and who takes over does the reverse: one of both sees the other.
    echo "$owner_shell $owner_ssh" > "$owner_place/$CLUSTERCTL_SCRIPT" || exit 73
    owner_take
    echo begins >> "$owner_place/$CLUSTERCTL_SCRIPT" || exit 73
    exec 3<&0
    (owner_watch) <&3 3<&- >/dev/null 2>&1 &
    exec 3<&-
    owner_clear
    (clusterctl_script) </dev/null
    owner_status=$?
    # What still runs of it was meant to stay.
    { echo ends >> "$owner_place/$CLUSTERCTL_SCRIPT"; } 2>/dev/null
    exit "$owner_status"
}
