# root becomes www-data by su.
act() {
    su -s /bin/sh -c true www-data
    sleep 0.5
}
