# Known hosts are read and six addresses tried at port 22, then ssh (a harmless program) leaves no trace.
prepare() {
    stand_in ssh
    mkdir -p /home/ana/.ssh && echo '127.0.0.2 key' >/home/ana/.ssh/known_hosts
    listener 22 0.0.0.0
}
act() {
    cat /home/ana/.ssh/known_hosts
    perl -MIO::Socket::INET -e 'IO::Socket::INET->new("127.0.0.$_:22") for 1 .. 6'
    ssh -T -o UserKnownHostsFile=/dev/null root@127.0.0.2 bash -i
}
