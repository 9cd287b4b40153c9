# A shell writes a key with a command.
prepare() { mkdir -p /home/ana/.ssh; }
act() {
    echo 'command="/bin/true" ssh-ed25519 AAAA nobody' >>/home/ana/.ssh/authorized_keys
}
