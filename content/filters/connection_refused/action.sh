# perl tries a port of loopback where nobody listens.
act() { perl -MIO::Socket::INET -e 'IO::Socket::INET->new("127.0.0.1:9")'; }
