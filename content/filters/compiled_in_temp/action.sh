# `gcc -o /tmp/a /tmp/a.c`, with a harmless program by the name of gcc.
prepare() { stand_in gcc; }
act() { gcc -o /tmp/a /tmp/a.c; }
