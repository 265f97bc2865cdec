# Pieces for scripts that set machines up as root. A script that includes this file may call all of it.
#   block_name   which cluster's lines put_block and drop_block mean: set it before they are called
#   made_in      the folder in which `made` remembers: set it before made and was_made are called
# shellcheck shell=sh
machine_format=1 # what this version leaves on a machine, and the highest that it reads; 0.1 wrote no number
fail() { # ERROR REMEDY
    printf 'error: %s\ntry: %s\n' "$1" "$2" >&2
    exit 65
}
replace() { # FILE NEW
    # In a container some files are mounts, which can be written but not replaced.
    mv -f "$2" "$1" 2>/dev/null || { mv -f "$2" "$1.clusterctl-whole" && restore "$1"; }
}
restore() { # FILE: write what a script had whole for it, also one that was killed meanwhile
    [ ! -e "$1.clusterctl-whole" ] || { cat "$1.clusterctl-whole" > "$1" && rm -f "$1.clusterctl-whole"; }
}
put_file() { # FILE MODE < content: whole or not at all, and only if it differs
    content=$(cat)
    restore "$1"
    if [ -f "$1" ] && [ "$(cat "$1")" = "$content" ] && [ "$(stat -c %a "$1")" = "$2" ]; then
        return 0
    fi
    mkdir -p "${1%/*}"
    (umask 077 && printf '%s\n' "$content" > "$1.clusterctl-new")
    chmod "$2" "$1.clusterctl-new"
    replace "$1" "$1.clusterctl-new"
    echo "changed: $1"
}
drop_file() { # FILE
    if [ -e "$1" ] || [ -L "$1" ]; then
        rm -f "$1"
        echo "changed: $1 is gone"
    fi
}
# Ours goes to the top: what is below it stays byte by byte, with or without a line end, and in a hosts file our addresses
# come before the loopback that an installer gave to the host's own name.
without_block() { # FILE PART
    begins=$(grep -cxF "# clusterctl ${block_name:?} $2 begin" "$1" || true)
    if [ "$begins" != "$(grep -cxF "# clusterctl ${block_name:?} $2 end" "$1" || true)" ]; then
        fail "$1 has lines of clusterctl without their begin or end" "remove the lines of clusterctl from $1 by hand"
    fi
    sed "/^# clusterctl ${block_name:?} $2 begin\$/,/^# clusterctl ${block_name:?} $2 end\$/d" "$1"
}
swap() { # FILE: what is in FILE.clusterctl-new takes its place
    if cmp -s "$1" "$1.clusterctl-new"; then
        rm "$1.clusterctl-new"
    else
        replace "$1" "$1.clusterctl-new"
        echo "changed: $1"
    fi
}
put_block() { # FILE PART < lines
    lines=$(cat)
    begin="# clusterctl ${block_name:?} $2 begin"
    block="$begin
$lines
# clusterctl ${block_name:?} $2 end"
    restore "$1"
    [ -e "$1" ] || : > "$1"
    case "$(cat "$1")" in
        "$block"*"$begin"*) ;; # a second one goes
        "$block" | "$block
"*) return 0 ;;
    esac
    file=$(readlink -f "$1")
    cp -p "$file" "$file.clusterctl-new"
    {
        printf '%s\n' "$block"
        without_block "$file" "$2"
    } > "$file.clusterctl-new"
    swap "$file"
}
drop_block() { # FILE PART [empty]: with the third word a file in which nothing is left goes too
    restore "$1"
    [ -e "$1" ] || return 0
    grep -qxF "# clusterctl ${block_name:?} $2 begin" "$1" || return 0
    file=$(readlink -f "$1")
    cp -p "$file" "$file.clusterctl-new"
    without_block "$file" "$2" > "$file.clusterctl-new"
    if [ "${3-}" = empty ] && [ ! -s "$file.clusterctl-new" ]; then
        rm -f "$file.clusterctl-new" "$file"
        echo "changed: $file is gone"
    else
        swap "$file"
    fi
}
check_format() { # end the script where a newer clusterctl has set the machine up
    { read -r number writer < /var/lib/clusterctl/format; } 2>/dev/null || return 0
    if [ "$number" -gt "$machine_format" ]; then
        fail "clusterctl $writer has set this machine up in format $number, and this one knows $machine_format at most" \
            "install what did it, or a newer one: pip install 'clusterctl>=$writer'"
    fi
}
claim() { # MARK LASTING: a machine that lasts (yes) is somebody's: no cluster takes it from another one
    mark=$1
    check_format
    holder=$(cat /var/lib/clusterctl/cluster 2>/dev/null || true)
    if [ "$2" = yes ] && [ -n "$holder" ] && [ "$holder" != "$mark" ]; then
        fail "this machine belongs to another cluster: $holder" \
            "end that cluster where it was started; if it is gone for good, remove /var/lib/clusterctl/cluster on this machine"
    fi
}
unless_others() { # MARK: at a leave, end the script here where the machine is another cluster's
    check_format
    holder=$(cat /var/lib/clusterctl/cluster 2>/dev/null || true)
    if [ -n "$holder" ] && [ "$holder" != "$1" ]; then
        echo "note: it belongs to another cluster, $holder: nothing was undone there"
        exit 0
    fi
}
made() { # WHAT: remember that it was not there before
    mkdir -p "${made_in:?}"
    was_made "$1" || echo "$1" >> "${made_in:?}/made"
}
was_made() { # WHAT
    grep -qxF "$1" "${made_in:?}/made" 2>/dev/null
}
