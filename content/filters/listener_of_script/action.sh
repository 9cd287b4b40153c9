# perl listens on a port of loopback.
act() {
    perl -MIO::Socket::INET -e 'IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1:4444")'
}
