# find searches for such programs (for real), then a copy of a harmless program gets its owner's rights in a home.
prepare() { put /bin/true /home/ana/part; }
act() {
    find /usr/bin -perm -4000 -type f
    chmod 4755 /home/ana/part
}
