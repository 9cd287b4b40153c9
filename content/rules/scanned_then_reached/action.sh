# nmap (a harmless program), then perl connects to port 22 of loopback.
prepare() {
    stand_in nmap
    listener 22
}
act() {
    nmap -sn 127.0.0.0/30
    perl -MIO::Socket::INET -e 'IO::Socket::INET->new("127.0.0.1:22")'
}
