# perl writes a text in a home anew.
prepare() { echo plan >/home/ana/plan.txt; }
act() { perl -e 'open my $f, "+<", "/home/ana/plan.txt" or die; print $f "x"'; }
