# perl tries a port of twelve addresses of loopback.
act() { perl -MIO::Socket::INET -e 'IO::Socket::INET->new("127.0.0.$_:9") for 1 .. 14'; }
