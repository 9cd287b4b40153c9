# `ssh -N -R 8022:localhost:22 ana@127.0.0.1`, with a harmless program by the name of ssh.
prepare() { stand_in ssh; }
act() { ssh -N -R 8022:localhost:22 ana@127.0.0.1; }
