# Accounts of users, alike on all nodes. It needs machine.sh before it.
# shellcheck shell=sh
another_number() { # what to do about numbers that clash
    echo "set UID in [plugin base] to a number that is free on all of them, or take another CLUSTER_USER"
}
ensure_account() { # NAME UID GID HOME SHELL
    if account=$(getent passwd "$1"); then
        IFS=: read -r _ _ has_uid has_gid has_comment has_home has_shell <<ACCOUNT
$account
ACCOUNT
        if [ "$has_uid:$has_gid:$has_home" != "$2:$3:$4" ]; then
            fail "the user $1 is there already with number, group and home $has_uid:$has_gid:$has_home, and should have $2:$3:$4 as on the master" \
                "$(another_number)"
        fi
        # Made by a script that was killed before it could note it: nobody else calls an account so.
        [ "$has_comment" != clusterctl ] || was_made "user $1" || made "user $1"
        if was_made "user $1" && [ "$has_shell" != "$5" ]; then
            usermod -s "$5" "$1"
            echo "changed: shell of $1"
        fi
        return 0
    fi
    if account=$(getent passwd "$2"); then
        fail "the number $2 belongs to the user ${account%%:*} here, so $1 cannot have it" "$(another_number)"
    fi
    if ! getent group "$3" >/dev/null; then
        if account=$(getent group "$1"); then
            fail "the group $1 has number $(echo "$account" | cut -d: -f3) here and $3 on the master" "$(another_number)"
        fi
        groupadd -g "$3" "$1"
        made "group $1"
    fi
    bad=
    case $1 in *[!a-z0-9_-]*) bad=--badname ;; esac
    # shellcheck disable=SC2086  # an option or nothing
    useradd $bad -M -N -u "$2" -g "$3" -d "$4" -s "$5" -c clusterctl -p '*' "$1"
    made "user $1"
    echo "changed: user $1"
}
