# perl tries port 22 of six addresses of loopback.
prepare() { listener 22 0.0.0.0; }
act() { perl -MIO::Socket::INET -e 'IO::Socket::INET->new("127.0.0.$_:22") for 1 .. 6'; }
