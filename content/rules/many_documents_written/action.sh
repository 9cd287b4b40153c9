# perl writes eighty new texts.
prepare() { mkdir -p /home/ana/papers; }
act() { perl -e 'for (1 .. 80) { open my $f, ">", "/home/ana/papers/p$_.txt" or die; print $f "x" }'; }
