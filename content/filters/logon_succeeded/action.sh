# root becomes root by su.
act() {
    su -c true root
    sleep 0.5
}
