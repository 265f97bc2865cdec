# System packages, by the names that they have on Debian, installed by apt-get or dnf. It needs machine.sh before it.
#   apt_mirror   where apt-get takes packages from, if not from where the system says: set it before this file
# shellcheck shell=sh
apt_log=$(mktemp -d)
trap 'rm -rf "$apt_log"' EXIT
apt_stale=
apt_get() { # LOG ARGUMENTS
    apt_to=$apt_log/$1
    shift
    # shellcheck disable=SC2086  # lists of words
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get -q -y -o DPkg::Lock::Timeout=600 \
        ${apt_mirror:+-o Dir::Etc::SourceList=/etc/apt/sources.list.d/clusterctl.sources} \
        ${apt_mirror:+-o Dir::Etc::SourceParts=/dev/null -o APT::Get::List-Cleanup=0} \
        -o Acquire::Retries=3 -o Dpkg::Options::=--force-confold "$@" </dev/null > "$apt_to" 2>&1
}
apt_update() {
    apt_tries=0
    until apt_get update update; do
        # Of the locks only this one is not waited for: a machine that has just booted may be fetching the lists too.
        apt_tries=$((apt_tries + 1))
        if [ "$apt_tries" -ge 60 ] || ! grep -q 'Could not get lock' "$apt_log/update"; then
            return 1
        fi
        sleep 5
    done
}
apt_is_fresh() {
    [ -z "$apt_stale" ] && [ -n "$(find /var/lib/apt/lists -maxdepth 0 -mtime -1 2>/dev/null)" ] &&
        [ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -print -quit 2>/dev/null)" ]
}
apt_install() { # PACKAGES that are missing
    if ! command -v apt-get >/dev/null; then
        fail "these system packages are missing, and there is neither apt-get nor dnf to install them with: $*" \
            "install them there, or use Debian, Ubuntu or Amazon Linux"
    fi
    apt_updated=
    apt_is_fresh || { apt_updated=yes && { apt_update || true; }; }
    if ! apt_get install install --no-install-recommends "$@"; then
        # Of a dpkg that was killed the rest is to be done first.
        ! grep -qs 'dpkg --configure -a' "$apt_log/install" ||
            DEBIAN_FRONTEND=noninteractive dpkg --force-confold --configure -a </dev/null >> "$apt_log/update" 2>&1 || true
        [ -n "$apt_updated" ] || { apt_update || true; }
        apt_get install install --no-install-recommends "$@" || apt_refuse "$@"
    fi
    note_packages "$@"
}
apt_refuse() { # PACKAGES
    apt_unknown=$(sed -n -e "s/^E: Unable to locate package //p" -e "s/^E: Version '.*' for '\(.*\)' was not found$/\1/p" \
        -e "s/^E: Package '\(.*\)' has no installation candidate$/\1/p" "$apt_log/install" | tr '\n' ' ')
    apt_said=$(cat "$apt_log/update" "$apt_log/install" 2>/dev/null | grep '^[EW]:' | head -n 6 || true)
    if grep -qs -e 'Failed to fetch' -e 'Temporary failure' -e 'Could not resolve' -e 'Could not connect' "$apt_log"/*; then
        fail "the archive of system packages is out of reach: $apt_said" \
            "check the network, or set HTTP_PROXY or APT_MIRROR in [plugin base]"
    fi
    [ -z "$apt_unknown" ] || fail "there is no such system package here: $apt_unknown" "check the names that the plugins are given"
    fail "system packages cannot be installed: ${apt_said:-$(tail -n 5 "$apt_log/install")}" "see what apt-get says there: $*"
}
apt_ensure() { # PACKAGES
    apt_names=
    for package in "$@"; do
        apt_names="$apt_names ${package%%[=/]*}"
    done
    # shellcheck disable=SC2016,SC2086  # a format of dpkg's, and a list of words
    apt_there=$(dpkg-query -W -f '|${db:Status-Status} ${Package} ${Version}|\n' ${apt_names} 2>/dev/null || true)
    apt_missing=
    for package in "$@"; do
        apt_name=${package%%[=/:]*}
        apt_version=
        case $package in *=*) apt_version="${package#*=}|" ;; esac
        # shellcheck disable=SC2254  # a version may be a pattern for apt-get too
        case $apt_there in *"|installed $apt_name "$apt_version*) ;; *) apt_missing="$apt_missing $package" ;; esac
    done
    # shellcheck disable=SC2086  # a list of words
    [ -z "$apt_missing" ] || apt_install $apt_missing
}
# --- Amazon Linux and its relatives
# What is installed is asked by what it provides: there `curl` comes with curl-minimal, which the package curl would clash
# with.
dnf_name() { # PACKAGE: sets dnf_called and dnf_version
    case $1 in
        */*) fail "there are no releases to take ${1%%/*} from here: $1" "write its name, or NAME=VERSION, without a release" ;;
    esac
    dnf_called=${1%%=*}
    dnf_version=
    case $1 in *=*) dnf_version=${1#*=} ;; esac
    case $dnf_called in
        nfs-kernel-server | nfs-common) dnf_called=nfs-utils ;;
        csh) dnf_called=tcsh ;;
    esac
}
dnf_has() { # NAME VERSION
    dnf_there=$(rpm -q --qf '|%{EPOCHNUM}:%{VERSION}-%{RELEASE}|%{VERSION}-%{RELEASE}|%{VERSION}|\n' --whatprovides "$1" 2>/dev/null) || return 1
    [ -n "$2" ] || return 0
    dnf_wanted="$2|"
    # shellcheck disable=SC2254  # a version may be a pattern
    case $dnf_there in *"|"$dnf_wanted*) ;; *) return 1 ;; esac
}
dnf_ensure() { # PACKAGES
    dnf_missing=
    dnf_asked=
    for package in "$@"; do
        dnf_name "$package"
        dnf_has "$dnf_called" "$dnf_version" && continue
        dnf_asked="$dnf_asked $package"
        dnf_called=$dnf_called${dnf_version:+-$dnf_version}
        # Two names at Debian may be one here.
        case " $dnf_missing " in *" $dnf_called "*) ;; *) dnf_missing="$dnf_missing $dnf_called" ;; esac
    done
    [ -n "$dnf_missing" ] || return 0
    # shellcheck disable=SC2086  # a list of words
    if ! dnf -q -y --setopt=install_weak_deps=False install $dnf_missing </dev/null > "$apt_log/dnf" 2>&1; then
        dnf_refuse $dnf_missing
    fi
    # shellcheck disable=SC2086
    note_packages $dnf_asked
}
dnf_refuse() { # PACKAGES
    if grep -qi -e 'Failed to download' -e 'Curl error' -e 'Could not resolve' -e 'Cannot download' "$apt_log/dnf"; then
        fail "the archive of system packages is out of reach: $(grep -i -m 3 -e 'error' -e 'failed' "$apt_log/dnf" | tr '\n' ' ')" \
            "check the network, or set HTTP_PROXY in [plugin base]"
    fi
    dnf_unknown=$(sed -n -e 's/^No match for argument: *//p' "$apt_log/dnf" | tr '\n' ' ')
    [ -z "$dnf_unknown" ] || fail "there is no such system package here: $dnf_unknown" \
        "names are not always those of Debian here: find the right one there with dnf search"
    fail "system packages cannot be installed: $(tail -n 5 "$apt_log/dnf" | tr '\n' ' ')" "see what dnf says there: dnf install $*"
}
note_packages() { # PACKAGES that were installed
    mkdir -p /var/lib/clusterctl/base
    for package in "$@"; do
        echo "$package" >> /var/lib/clusterctl/base/packages
        echo "changed: package $package"
    done
}
ensure_packages() { # PACKAGES, as apt-get takes them
    [ $# -gt 0 ] || return 0
    if command -v dnf >/dev/null && ! command -v apt-get >/dev/null; then
        dnf_ensure "$@"
    else
        apt_ensure "$@"
    fi
}
