# Mounts of NFS, by units that systemd makes of fstab. It needs machine.sh before it.
# shellcheck shell=sh
kind_of() { # FOLDER: what is mounted on it now, without touching it: its server may be gone
    awk -v folder="$1" '$2 == folder { kind = $3 } END { print kind }' /proc/self/mounts
}
refuse_others() { # FOLDER LINES: a mount that is not ours, in our lines of fstab, stays
    case "$2" in *" $1 nfs4 "*) return 0 ;; esac
    kind=$(kind_of "$1")
    [ -z "$kind" ] || fail "$1 is a mount here already ($kind)" \
        "set SHARED_HOME = yes if these hosts share it; else take another CLUSTER_USER, or unmount it"
}
say_hidden() { # FOLDER
    if [ -z "$(kind_of "$1")" ] && [ -n "$(find "$1" -mindepth 1 -maxdepth 1 -print -quit)" ]; then
        echo "note: $1 was not empty here: what is in it is hidden while the shared one is mounted there"
    fi
}
unit_of() { # FOLDER SUFFIX
    systemd-escape --path --suffix="$2" "$1"
}
unmount() { # FOLDER: neither a server that does not answer nor a process that sits in it keeps it
    timeout 20 systemctl stop "$(unit_of "$1" automount)" "$(unit_of "$1" mount)" >&2 || true
    while [ -n "$(kind_of "$1")" ]; do
        umount -c -f -l "$1" >&2 || fail "$1 cannot be unmounted" "reboot that node"
    done
}
prove() { # SOURCE FOLDER REMEDY: read it, which mounts it
    [ "$(timeout 90 stat -f -c %T "$2" 2>/dev/null)" != nfs ] || return 0
    # The mount goes on for as long as it takes, and tells nothing before: asked once more, it says what is wrong.
    folder=$(mktemp -d)
    why=$(timeout 30 mount -t nfs4 -o ro,soft,retry=0 "$1" "$folder" 2>&1 | tr '\n' ' ')
    umount -l "$folder" 2>/dev/null || true
    rmdir "$folder"
    fail "$1 cannot be mounted: ${why:-no answer in 90 s}" "$3"
}
