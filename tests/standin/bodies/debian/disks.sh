#!/bin/sh
# Shows the data volumes in /dev, as udev would: the list has the kernel's name, its numbers and Amazon's serial number.
set -eu
# A disk may be plugged in while the machine boots.
exec 9>/run/body-disks.lock
flock 9
rm -rf /dev/loop[0-9]* /dev/disk
mkdir -p /dev/disk/by-id /dev/disk/by-uuid
while read -r name major minor serial; do
    mknod -m 0660 "/dev/$name" b "$major" "$minor"
    chgrp disk "/dev/$name"
    ln -s "../../$name" "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_$serial"
    uuid=$(blkid -p -o value -s UUID "/dev/$name" || true)
    [ -z "$uuid" ] || ln -s "../../$name" "/dev/disk/by-uuid/$uuid"
done </var/lib/body/disks
