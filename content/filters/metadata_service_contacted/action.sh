# perl connects to 169.254.169.254, which is loopback in the room.
prepare() { ip addr add 169.254.169.254/32 dev lo; }
act() {
    perl -MIO::Socket::INET -e 'IO::Socket::INET->new(PeerAddr => "169.254.169.254:80", Timeout => 2)'
}
