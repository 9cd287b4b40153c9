# `gcc -o /tmp/a /tmp/a.c`.
prepare() { echo 'int main(void) { return 0; }' >/tmp/a.c; }
act() { gcc -o /tmp/a /tmp/a.c; }
