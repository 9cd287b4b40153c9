# perl connects to a socket that looks like an agent's.
prepare() {
    mkdir -p /tmp/ssh-XXab
    unix_listener /tmp/ssh-XXab/agent.77
}
act() {
    perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => "/tmp/ssh-XXab/agent.77") or die'
}
