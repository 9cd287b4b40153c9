# cat opens a private key, then ssh is told to keep no trace.
prepare() {
    mkdir -p /home/ana/.ssh && echo key >/home/ana/.ssh/id_ed25519
}
act() {
    cat /home/ana/.ssh/id_ed25519 >/tmp/k
    ssh -i /tmp/k -o UserKnownHostsFile=/dev/null root@127.0.0.2 true
}
