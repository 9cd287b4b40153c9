# An ordinary user tries to become root by su, without a password.
act() {
    as_ana su -c true root </dev/null
    sleep 0.5
}
