# perl connects to port 22 of loopback, where a listener waits.
prepare() { listener 22; }
act() { perl -MIO::Socket::INET -e 'IO::Socket::INET->new("127.0.0.1:22")'; }
