# Space that is lost with the machine. It needs machine.sh and system_packages.sh before it.
# shellcheck shell=sh
label=cctl-scratch
disk_holds() { # DISK: sets holds to blank, ours, member (of our stripe) or other
    holds=other
    found=$(blkid -p -o export "$1" 2>/dev/null </dev/null) && status=0 || status=$?
    case "$found" in
        *"LABEL=$label"*) holds=ours ;;
        *"LABEL="*":$label"*) holds=member ;;
    esac
    # 2: it looked, and found nothing.
    if [ "$status" -eq 2 ] && [ -z "$(wipefs -n "$1" 2>/dev/null)" ] && [ -z "$(parts_of "$1")" ]; then
        holds=blank
    fi
}
parts_of() { # DISK: its partitions
    disk_name=$(readlink -f "$1")
    disk_name=${disk_name##*/}
    for part in "/sys/class/block/$disk_name/$disk_name"*/partition; do
        [ ! -e "$part" ] || basename "${part%/partition}"
    done
}
mount_scratch() { # FOLDER
    source=$(blkid -L "$label" || true)
    [ -n "$source" ] || return 0
    echo "LABEL=$label $1 ext4 defaults,nofail,x-systemd.device-timeout=10s 0 2" | put_block /etc/fstab scratch
    if ! mountpoint -q "$1"; then
        [ ! -d /run/systemd/system ] || systemctl --quiet daemon-reload
        mount "$source" "$1"
        echo "changed: $1 is on $source"
    fi
}
make_scratch() { # DISKS that are blank
    if [ $# -gt 1 ]; then
        command -v mdadm >/dev/null || (ensure_packages mdadm) >/dev/null 2>&1 || true
        if command -v mdadm >/dev/null; then
            disks=$*
            mdadm --create /dev/md/$label --quiet --run --level=0 --raid-devices=$# --homehost=any --name=$label "$@" >&2 </dev/null
            set -- /dev/md/$label
            echo "changed: striped over $disks"
        else
            echo "note: there is no mdadm: of $# empty disks only $1 is used as scratch space"
            set -- "$1"
        fi
    fi
    mkfs.ext4 -q -F -m 0 -L "$label" "$1" >&2 </dev/null
    echo "changed: a file system on $1"
    udevadm settle 2>/dev/null || true
}
find_scratch() { # named or any, DISKS: of those that are named none may hold anything
    scratch_is=$1
    shift
    empty=
    members=
    for disk in "$@"; do
        [ -b "$disk" ] || continue
        disk_holds "$disk"
        case $holds in
            blank) empty="$empty $disk" ;;
            ours) return 0 ;;
            member) members="$members $disk" ;;
            *) [ "$scratch_is" = any ] || fail "$disk is to be scratch space and holds something" \
                "take it out of SCRATCH; or, if nothing on it is needed, run there: wipefs -a $disk" ;;
        esac
    done
    # shellcheck disable=SC2086  # lists of devices
    if [ -n "$members" ]; then
        [ -e /dev/md/$label ] || mdadm --assemble --run /dev/md/$label $members >&2 </dev/null
    elif [ -n "$empty" ]; then
        make_scratch $empty
    fi
}
