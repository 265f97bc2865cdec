"""A dnf and an rpm that install nothing: shell scripts, for systems on which there is neither.

The environment variable FAKE, by default /fake, is their folder: `installed` has a line for each package (name, epoch,
version, release, what else it provides), `known` the names of the archive's packages, `calls` what dnf was called with.
If there is a file `broken`, dnf fails with its text.
"""

RPM = r"""#!/bin/sh
fake=${FAKE:-/fake}
for asked; do :; done
found=1
while read -r name epoch version release also; do
    case " $name $also " in
        *" $asked "*)
            echo "|$epoch:$version-$release|$version-$release|$version|"
            found=0
            ;;
    esac
done < "$fake/installed"
[ "$found" -eq 0 ] || echo "no package provides $asked"
exit "$found"
"""
DNF = r"""#!/bin/sh
fake=${FAKE:-/fake}
echo "$*" >> "$fake/calls"
if [ -e "$fake/broken" ]; then
    cat "$fake/broken" >&2
    exit 1
fi
while [ "$1" != install ]; do shift; done
shift
unknown=
for package; do
    grep -qxF "${package%%-[0-9]*}" "$fake/known" || unknown="$unknown $package"
done
for package in $unknown; do
    echo "No match for argument: $package" >&2
done
if [ -n "$unknown" ]; then
    echo "Error: Unable to find a match:$unknown" >&2
    exit 1
fi
for package; do
    echo "$package 0 1.0 1.amzn2023" >> "$fake/installed"
done
"""
