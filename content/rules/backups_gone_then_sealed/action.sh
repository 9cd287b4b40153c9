# zfs destroy (a harmless program), then perl renames a file.
prepare() {
    stand_in zfs
    echo x >/home/ana/a.txt
}
act() {
    zfs destroy tank@daily
    perl -e 'rename "/home/ana/a.txt", "/home/ana/a.txt.locked"'
}
