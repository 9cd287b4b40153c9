# `ssh -T -o UserKnownHostsFile=/dev/null root@127.0.0.1 bash -i`, with a harmless program by the name of ssh.
prepare() { stand_in ssh; }
act() { ssh -T -o UserKnownHostsFile=/dev/null root@127.0.0.1 bash -i; }
