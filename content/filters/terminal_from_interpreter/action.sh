# python3 is told to spawn a shell with a terminal (a harmless program by that name).
prepare() { stand_in python3; }
act() { python3 -c 'import pty; pty.spawn("/bin/sh")'; }
