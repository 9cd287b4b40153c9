# A copy of perl in /tmp listens on loopback.
prepare() { put /usr/bin/perl /tmp/part; }
act() {
    /tmp/part -MIO::Socket::INET -e 'IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1:4444")'
}
