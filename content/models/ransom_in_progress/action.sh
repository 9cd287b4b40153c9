# A note is written and twelve files renamed, after backups were removed by a harmless program.
prepare() {
    stand_in zfs
    for n in $(seq 12); do : >/home/ana/f$n.txt; done
}
act() {
    zfs destroy tank@daily
    perl -e 'rename $_, "$_.locked" for glob "/home/ana/f*.txt"'
    echo hello >/home/ana/HOW_TO_DECRYPT.txt
}
