# An ordinary user tries to become root by su nine times, then root does.
act() {
    for _ in 1 2 3 4 5 6 7 8 9; do as_ana su -c true root </dev/null & done
    wait
    sleep 0.5
    su -c true root
    sleep 1
}
