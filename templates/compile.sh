# Bytecode of environments, made when nothing waits for it.
# shellcheck shell=sh
is_compiling() { # ENVIRONMENT: sets compiling
    compiling=$(cat "$1/compiling.pid" 2>/dev/null) && grep -qs "$1/compiling" "/proc/$compiling/cmdline"
}
compile_later() { # ENVIRONMENT SECONDS: so long after this
    # Compiling takes ten times as long as building, so nobody waits for it. Engines cannot write bytecode into what is
    # root's: until this is done each compiles in its memory what it imports.
    if [ ! -e "$1/compiled" ] && ! is_compiling "$1"; then
        # Nodes that share it leave it to one of them. Its paths are relative: with the environment they end, and the
        # folders that bytecode goes into are not made anew.
        (cd "$1" && exec setsid nice -n 19 flock -n "$1/compiling.lock" \
            sh -c "sleep $2; bin/python -m compileall -q -j 2 -p '$1' lib; touch compiled") \
            </dev/null >/dev/null 2>&1 9>&- &
        echo $! > "$1/compiling.pid"
    fi
}
drop() { # ENVIRONMENT
    if is_compiling "$1"; then
        kill -9 "-$compiling" "$compiling" 2>/dev/null || true # its group, if it has one by now; dash takes no -- here
    fi
    rm -rf "$1" 2>/dev/null || rm -rf "$1"
}
