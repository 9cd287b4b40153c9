# A copy of perl in /tmp connects to a listener on loopback.
prepare() {
    put /usr/bin/perl /tmp/part
    listener 4444
}
act() { /tmp/part -MIO::Socket::INET -e 'IO::Socket::INET->new("127.0.0.1:4444")'; }
