# perl sends 60 MB to a listener on loopback.
prepare() { listener 4444; }
act() {
    perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new("127.0.0.1:4444"); my $x = "x" x 1000000; print $s $x for 1 .. 60'
}
