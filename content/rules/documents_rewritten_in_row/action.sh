# perl writes eighty texts of a home anew.
prepare() { mkdir -p /home/ana/papers && for n in $(seq 80); do echo "plan $n" >/home/ana/papers/p$n.txt; done; }
act() { perl -e 'for (glob "/home/ana/papers/*.txt") { open my $f, "+<", $_ or die; print $f "x" }'; }
