# A database is stopped (a harmless program), then perl renames twelve files of a home.
prepare() { stand_in systemctl; for n in $(seq 12); do echo x >/home/ana/f$n.txt; done; }
act() {
    systemctl stop postgresql
    perl -e 'rename $_, "$_.locked" for glob "/home/ana/f*.txt"'
}
