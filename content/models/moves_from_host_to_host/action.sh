# Known hosts are read and six addresses tried at port 22, then ssh leaves no trace.
prepare() {
    mkdir -p /home/ana/.ssh && echo '127.0.0.2 key' >/home/ana/.ssh/known_hosts
    listener 22 0.0.0.0
}
act() {
    cat /home/ana/.ssh/known_hosts
    perl -MIO::Socket::INET -e 'IO::Socket::INET->new("127.0.0.$_:22") for 1 .. 6'
    ssh -o ConnectTimeout=1 -T -o UserKnownHostsFile=/dev/null root@127.0.0.2 bash -i
}
