# A disk's table is wiped and a tree removed (harmless programs), after a log.
prepare() { stand_in wipefs zfs; echo line >/var/log/auth.log; }
act() {
    truncate -s 0 /var/log/auth.log
    zfs destroy -r tank/data@daily
    wipefs --all /dev/sdb
}
