# Homes, on the node that has them. It needs machine.sh and accounts.sh before it.
# shellcheck shell=sh
is_empty() { # FOLDER: nothing is in it, but for what a fresh file system has
    [ -z "$(find "$1" -mindepth 1 -maxdepth 1 ! -name lost+found -print -quit)" ]
}
choose_numbers() { # NAME HOME WANTED FORMER FIRST: sets uid and gid
    uid=$(id -u "$1" 2>/dev/null || true)
    gid=$(id -g "$1" 2>/dev/null || true)
    owner=$(stat -c %u "$2" 2>/dev/null || echo 0)
    if [ "$owner" -ne 0 ]; then
        if [ -n "$uid" ] && [ "$uid" != "$owner" ]; then
            fail "$2 belongs to number $owner, and the user $1 is $uid" "let $2 belong to $1, or take another CLUSTER_USER"
        fi
        if account=$(getent passwd "$owner") && [ "${account%%:*}" != "$1" ]; then
            fail "$2 belongs to the user ${account%%:*}" "let $2 belong to nobody else, or take another CLUSTER_USER"
        fi
        uid=$owner
        gid=${gid:-$(stat -c %g "$2")}
    elif [ -d "$2" ] && ! is_empty "$2"; then
        fail "$2 is there and belongs to root" "let it belong to $1, move it away, or take another CLUSTER_USER"
    fi
    if [ -n "$uid" ] && [ -n "$3" ] && [ "$uid" != "$3" ]; then
        fail "the user $1 has number $uid already, and UID is $3" "leave UID out of [plugin base], or take another CLUSTER_USER"
    fi
    if [ -z "$uid" ]; then
        uid=${3:-$4}
        [ -n "$3" ] || ! getent passwd "${4:-0}" >/dev/null || uid=
    fi
    if [ -z "$uid" ]; then
        uid=$5
        while getent passwd "$uid" >/dev/null || getent group "$uid" >/dev/null; do
            uid=$((uid + 1))
        done
    fi
    if ! id "$1" >/dev/null 2>&1 && account=$(getent passwd "$uid"); then
        fail "the number $uid belongs to the user ${account%%:*} here, so $1 cannot have it" "$(another_number)"
    fi
    if [ -z "$gid" ] || [ "$gid" -eq 0 ]; then
        gid=$(getent group "$1" | cut -d: -f3)
        gid=${gid:-$uid}
    fi
    if account=$(getent group "$gid") && [ "${account%%:*}" != "$1" ] && [ "$owner" -eq 0 ] && ! id "$1" >/dev/null 2>&1; then
        fail "the number $gid belongs to the group ${account%%:*}, so $1 cannot have it" "$(another_number)"
    fi
}
ensure_home() { # NAME HOME
    if [ -d "$2" ] && { [ "$(stat -c %u "$2")" -ne 0 ] || ! is_empty "$2"; }; then
        return 0
    fi
    home_new=$2
    if [ ! -d "$2" ]; then
        made "home $2"
        home_new=$2.clusterctl-new
        rm -rf --one-file-system "$home_new" # of a script that was killed
    fi
    mode=$(sed -n 's/^HOME_MODE[[:space:]]*\([0-7]*\)$/\1/p' /etc/login.defs 2>/dev/null)
    mode=${mode:-$(sed -n 's/^DIR_MODE=\([0-7]*\)$/\1/p' /etc/adduser.conf 2>/dev/null)}
    mkdir -p "${2%/*}"
    install -d -m "${mode:-0700}" -o "$1" -g "$(id -g "$1")" "$home_new"
    [ ! -d /etc/skel ] || cp -rT /etc/skel "$home_new"
    find "$home_new" -mindepth 1 ! -name lost+found -exec chown -h "$1:$(id -g "$1")" {} +
    [ "$home_new" = "$2" ] || mv "$home_new" "$2"
    echo "changed: $2"
}
