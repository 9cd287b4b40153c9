# perl writes eighty new texts.
prepare() { mkdir -p /home/ana/work; }
act() { perl -e 'for (1 .. 80) { open my $f, ">", "/home/ana/work/p$_.txt" or die; print $f "x" }'; }
