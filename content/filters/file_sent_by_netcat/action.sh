# A program called nc (it does nothing) gets a file as its input.
prepare() {
    stand_in nc
    echo web-1 >/etc/hostname
}
act() { nc 127.0.0.1 4444 </etc/hostname; }
