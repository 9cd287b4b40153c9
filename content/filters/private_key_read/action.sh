# cat opens somebody's private key.
prepare() { mkdir -p /home/ana/.ssh && echo key >/home/ana/.ssh/id_ed25519; }
act() { cat /home/ana/.ssh/id_ed25519; }
