# `zfs destroy -r tank/data@daily`, with a harmless program by the name of zfs.
prepare() { stand_in zfs; }
act() { zfs destroy -r tank/data@daily; }
