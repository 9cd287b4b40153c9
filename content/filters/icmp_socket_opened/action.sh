# perl makes a raw socket for ICMP.
act() { perl -e 'socket my $s, 2, 3, 1 or die $!'; }
