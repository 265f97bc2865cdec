# Files that are there whole or not at all, wherever the script that writes them is killed.
# shellcheck shell=sh
whole() { # FILE < content
    cat > "$1.clusterctl-new"
    # A folder that has taken its name would get the file into it.
    [ ! -d "$1" ] || mv "$1" "$1.broken-$$"
    mv -f "$1.clusterctl-new" "$1"
}
