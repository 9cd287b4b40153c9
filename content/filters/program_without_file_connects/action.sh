# A copy of perl is deleted while it runs and then connects to a listener on loopback.
prepare() {
    put /usr/bin/perl /srv/part
    listener 4444
}
act() {
    /srv/part -MIO::Socket::INET -e 'unlink "/srv/part"; exec "/proc/self/exe", "-MIO::Socket::INET", "-e", "IO::Socket::INET->new(q(127.0.0.1:4444))"'
}
