# python3 is told to spawn a shell with a terminal.
act() { timeout 1 python3 -c 'import pty; pty.spawn("/bin/sh")'; }
