# A key is read, nmap run (a harmless program), and perl connects to port 22 of loopback.
prepare() {
    mkdir -p /home/ana/.ssh && echo key >/home/ana/.ssh/id_rsa
    stand_in nmap
    listener 22
}
act() {
    cat /home/ana/.ssh/id_rsa
    nmap -sn 127.0.0.0/30
    perl -MIO::Socket::INET -e 'IO::Socket::INET->new("127.0.0.1:22")'
}
