# perl gives forty texts of a home an ending that nobody has seen.
prepare() { mkdir -p /home/ana/papers && for n in $(seq 40); do echo "plan $n" >/home/ana/papers/p$n.txt; done; }
act() { perl -e 'rename $_, "$_.zz91" for glob "/home/ana/papers/*.txt"'; }
