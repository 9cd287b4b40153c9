# perl connects to a socket called docker.sock.
prepare() {
    unix_listener /run/docker.sock
}
act() {
    perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => "/run/docker.sock") or die'
}
