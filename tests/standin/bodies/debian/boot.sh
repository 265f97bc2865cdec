#!/bin/sh
# What a container lacks to be a machine that boots; then systemd, in this process's place.
set -u

# Docker mounts these files, so that nobody could replace them. Only the first boot takes them over. There may be a second
# mount below: of the copy that brought the seed, which Docker takes away a moment later.
for file in hosts hostname resolv.conf; do
    cp "/etc/$file" "/run/$file.docker"
    while umount "/etc/$file" 2>/dev/null; do :; done
    [ -s "/etc/$file" ] || cat "/run/$file.docker" >"/etc/$file"
done

# Each boot has an id of its own. The kernel's is the one of the computer underneath.
cp /proc/sys/kernel/random/uuid /run/boot-id
mount --bind /run/boot-id /proc/sys/kernel/random/boot_id

# /dev is new at each boot; the disks that are plugged in are there before anything is mounted.
# systemd in a container passes over the disks of /etc/fstab.
/usr/local/sbin/body-disks
mount --all --types ext4,xfs || true

# systemd wants control groups of version 2 for itself alone. Where Docker has version 1, the container is in the top
# group of version 2 together with everything else: it goes into a group of its own, which becomes the top that it sees.
export container=docker
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -o remount,rw /sys/fs/cgroup
    exec /lib/systemd/systemd
fi
mkdir -p /run/cgroup
mount -t cgroup2 cgroup2 /run/cgroup
mkdir -p "/run/cgroup/$BODY_CGROUP"
echo $$ >"/run/cgroup/$BODY_CGROUP/cgroup.procs"
# shellcheck disable=SC2016  # expanded by the inner shell
exec unshare --cgroup sh -c '
    umount /run/cgroup
    umount --recursive /sys/fs/cgroup
    mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 /sys/fs/cgroup
    unset BODY_CGROUP
    exec /lib/systemd/systemd
'
