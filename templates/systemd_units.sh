# The instances of a service that are enabled; the links that systemd keeps are the record.
units() { # SERVICE, or * for all
    # shellcheck disable=SC2231  # the star is meant
    for link in /etc/systemd/system/multi-user.target.wants/clusterctl-$1@*.service; do
        [ ! -L "$link" ] || echo "${link##*/}"
    done
}
