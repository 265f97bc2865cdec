#!/bin/sh
# A root file system of Debian or Ubuntu as a tar, for `clusterctl image build --rootfs`: for computers that reach a
# Debian mirror and no container registry. Needs root and debootstrap; takes about a minute.
set -eu

usage="usage: rootfs.sh OUT.tar [--suite bookworm] [--mirror http://deb.debian.org/debian] [PACKAGE...]"
suite=bookworm
mirror=http://deb.debian.org/debian
out=
# As in docker/Dockerfile: what is here need not be fetched again when the image is built.
packages=ca-certificates,curl,iproute2,libpam-runtime,openssh-server,procps,python3,sudo
more=
while [ $# -gt 0 ]; do
    case $1 in
    --suite) suite=${2:?$usage}; shift ;;
    --mirror) mirror=${2:?$usage}; shift ;;
    -h | --help) echo "$usage"; exit 0 ;;
    -*) echo "$usage" >&2; exit 2 ;;
    *) if [ -z "$out" ]; then out=$1; else more="$more $1"; fi ;;
    esac
    shift
done
[ -n "$out" ] || { echo "$usage" >&2; exit 2; }
command -v debootstrap >/dev/null || { echo "debootstrap is missing: apt-get install debootstrap" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "debootstrap needs root: run this with sudo" >&2; exit 1; }

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 130' INT TERM
debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror"
if [ -n "$more" ]; then
    # By apt, which knows in which order to set packages up; debootstrap does not.
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    chroot "$root" apt-get update -qq
    # shellcheck disable=SC2086  # a list of names
    DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get install -y -qq --no-install-recommends $more
fi

# Nobody's keys, id or caches. A container gets its /dev and /proc from the engine.
rm -f "$root"/etc/ssh/ssh_host_* "$root"/var/cache/apt/archives/*.deb "$root"/var/cache/apt/*.bin
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/log/*.log "$root"/var/log/apt
: >"$root/etc/machine-id"
# Whole or not at all.
tar -C "$root" --numeric-owner --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' -cf "$out.new" .
mv "$out.new" "$out"
