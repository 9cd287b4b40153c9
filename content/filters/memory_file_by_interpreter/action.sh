# perl makes a file in memory.
act() { perl -e 'my $n = "part"; syscall 319, $n, 1'; }
