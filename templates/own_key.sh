# A user's own key, which all members let in. It needs machine.sh before it, and block_name.
# shellcheck shell=sh
own_key() { # CLUSTER [PUBLIC_KEY]: as the user, in the home ($HOME, $USER); the public key may log in too
    command -v ssh-keygen >/dev/null || fail "there is no ssh-keygen" "install openssh-client there"
    umask 077
    mkdir -p "$HOME/.ssh"
    if [ ! -e "$HOME/.ssh/id_ed25519" ]; then
        rm -f "$HOME/.ssh/id_ed25519.clusterctl-new" "$HOME/.ssh/id_ed25519.clusterctl-new.pub"
        ssh-keygen -q -t ed25519 -N "" -C "$USER@$1" -f "$HOME/.ssh/id_ed25519.clusterctl-new" </dev/null
        mv -f "$HOME/.ssh/id_ed25519.clusterctl-new.pub" "$HOME/.ssh/id_ed25519.pub"
        mv "$HOME/.ssh/id_ed25519.clusterctl-new" "$HOME/.ssh/id_ed25519"
        echo "changed: $HOME/.ssh/id_ed25519"
    fi
    if ! own=$(ssh-keygen -y -P "" -f "$HOME/.ssh/id_ed25519" 2>/dev/null </dev/null); then
        own=$(cat "$HOME/.ssh/id_ed25519.pub" 2>/dev/null || true)
        echo "note: the key in $HOME/.ssh/id_ed25519 has a passphrase: ssh between members asks for it"
    fi
    printf '%s\n' ${2:+"$2"} "$own" | put_block "$HOME/.ssh/authorized_keys" keys
}
