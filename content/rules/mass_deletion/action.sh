# perl deletes 120 files of a home.
prepare() { for n in $(seq 120); do : >/home/ana/f$n.txt; done; }
act() { perl -e 'unlink glob "/home/ana/f*.txt"'; }
