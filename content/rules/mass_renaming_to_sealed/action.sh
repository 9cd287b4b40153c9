# perl renames twelve files of a home.
prepare() { for n in $(seq 12); do : >/home/ana/f$n.txt; done; }
act() { perl -e 'rename $_, "$_.locked" for glob "/home/ana/f*.txt"'; }
