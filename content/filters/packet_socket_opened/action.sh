# perl makes a packet socket.
act() { perl -e 'socket my $s, 17, 3, 0x0300 or die $!'; }
