# An ordinary user tries to become seven others by su, without a password.
act() {
    for name in root daemon bin sys games man lp; do as_ana su -s /bin/sh -c true $name </dev/null & done
    wait
    sleep 1
}
