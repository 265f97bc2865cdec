# Disks, file systems and mounts. It needs machine.sh and system_packages.sh before it.
# shellcheck shell=sh
parts_of() { # DISK: its partitions
    disk_name=$(readlink -f "$1")
    disk_name=${disk_name##*/}
    for part in "/sys/class/block/$disk_name/$disk_name"*/partition; do
        [ ! -e "$part" ] || echo "/dev/$(basename "${part%/partition}") $(cat "$part")"
    done
}
is_blank() { # DEVICE: two programs that know what disks hold find nothing, and there is no partition
    blkid -p "$1" >/dev/null 2>&1 </dev/null && return 1
    [ $? -eq 2 ] && [ -z "$(wipefs -n "$1" 2>/dev/null)" ] && [ -z "$(parts_of "$1")" ]
}
find_device() { # NAME DISK PARTITION SECONDS: sets device; so long it may take to appear
    tries=0
    until [ -b "$2" ]; do
        tries=$((tries + 1))
        [ "$tries" -le "$4" ] || fail "volume $1: there is no disk $2" "see that the volume is attached to the master, and that its section names it rightly"
        sleep 1
    done
    parts=$(parts_of "$2")
    device=$(readlink -f "$2")
    if [ -n "$3" ]; then
        device=$(echo "$parts" | sed -n "s/ $3\$//p")
        [ -n "$device" ] || fail "volume $1: $2 has no partition $3" "correct PARTITION in [volume $1]"
    elif [ "$(echo "$parts" | grep -c .)" -gt 1 ]; then
        fail "volume $1: $2 has several partitions" "say which one in PARTITION of [volume $1]"
    elif [ -n "$parts" ]; then
        device=${parts% *}
    fi
}
ensure_file_system() { # NAME DEVICE TYPE MAY_FORMAT LABEL
    if is_blank "$2"; then
        [ "$4" = yes ] || fail "volume $1: $2 is blank" "set FORMAT = yes in [volume $1] to have a file system made on it"
        command -v "mkfs.$3" >/dev/null || ensure_packages "$([ "$3" = xfs ] && echo xfsprogs || echo e2fsprogs)"
        "mkfs.$3" -q -L "$5" "$2" >&2 </dev/null || fail "volume $1: mkfs.$3 failed on $2" "see the kernel's log there (dmesg)"
        echo "changed: a file system on $2"
    fi
    [ "$(blkid -p -o value -s USAGE "$2" </dev/null)" = filesystem ] ||
        fail "volume $1: $2 holds $(blkid -p -o value -s TYPE "$2" </dev/null || echo "something unknown"), no file system" \
            "name another disk or partition; it is never formatted, as it is not blank"
}
ensure_mounted() { # NAME DEVICE FOLDER
    there=$(findmnt -n -o SOURCE --mountpoint "$3" || true)
    if [ -n "$there" ]; then
        [ "$(readlink -f "$there")" = "$2" ] || fail "volume $1: $there is mounted on $3" "choose another MOUNT_PATH, or unmount it"
        return 0
    fi
    elsewhere=$(findmnt -n -o TARGET --source "$2" | head -n 1)
    [ -z "$elsewhere" ] || fail "volume $1: $2 is mounted on $elsewhere already" "unmount it there, or name another disk"
    [ ! -d "$3" ] || [ -z "$(find "$3" -mindepth 1 -maxdepth 1 -print -quit)" ] ||
        echo "note: $3 was not empty: what is in it is hidden while the volume $1 is mounted there"
    mkdir -p "$3"
    mount "$2" "$3" >&2 || fail "volume $1: $2 cannot be mounted on $3" "see the kernel's log there (dmesg)"
    echo "changed: $3 is $2"
}
ensure_grown() { # NAME DEVICE DISK FOLDER: the file system of a whole disk takes all of it, after the disk has grown
    [ "$2" = "$(readlink -f "$3")" ] || return 0
    size=$(findmnt -n -b -o SIZE --mountpoint "$4")
    case $(blkid -p -o value -s TYPE "$2" </dev/null) in
        ext?) resize2fs "$2" >&2 </dev/null ;;
        xfs) xfs_growfs "$4" >&2 </dev/null ;;
        *) return 0 ;;
    esac || { echo "note: volume $1: its file system could not take all of $2"; return 0; }
    [ "$(findmnt -n -b -o SIZE --mountpoint "$4")" = "$size" ] || echo "changed: $4 has grown to all of $2"
}
