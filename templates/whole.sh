# Files that are there whole or not at all, wherever the script that writes them is killed.
# shellcheck shell=sh
whole() { # FILE < content
    cat > "$1.clusterctl-new"
    mv -f "$1.clusterctl-new" "$1"
}
