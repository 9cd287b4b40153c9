# A program called ncat (perl) connects to a listener on loopback.
prepare() {
    put /usr/bin/perl /usr/local/bin/ncat
    listener 4444
}
act() { ncat -MIO::Socket::INET -e 'IO::Socket::INET->new("127.0.0.1:4444")'; }
