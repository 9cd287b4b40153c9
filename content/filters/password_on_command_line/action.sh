# `sshpass -p summer24 ssh ana@127.0.0.1`, with a harmless program by the name of sshpass.
prepare() { stand_in sshpass; }
act() { sshpass -p summer24 ssh ana@127.0.0.1; }
