# perl connects to a socket called docker.sock.
prepare() {
    perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Local => "/run/docker.sock", Listen => 3); open my $f, ">", "/run/ready"; close $f; sleep 20' 9>&- &
    while [ ! -e /run/ready ]; do sleep 0.05; done
}
act() {
    perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => "/run/docker.sock") or die'
}
