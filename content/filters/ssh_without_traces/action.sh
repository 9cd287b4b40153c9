# `ssh -T -o UserKnownHostsFile=/dev/null root@127.0.0.1 bash -i`.
act() { ssh -T -o UserKnownHostsFile=/dev/null root@127.0.0.1 bash -i; }
