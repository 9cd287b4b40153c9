# A copy of perl in /tmp connects seven times to a listener on loopback.
prepare() {
    put /usr/bin/perl /tmp/part
    listener 4444
}
act() { for _ in 1 2 3 4 5 6 7; do /tmp/part -MIO::Socket::INET -e 'IO::Socket::INET->new("127.0.0.1:4444")'; done; }
