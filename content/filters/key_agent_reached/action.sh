# perl connects to a socket that looks like an agent's.
prepare() {
    mkdir -p /tmp/ssh-XXab
    perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Local => "/tmp/ssh-XXab/agent.77", Listen => 3); open my $f, ">", "/run/ready"; close $f; sleep 20' 9>&- &
    while [ ! -e /run/ready ]; do sleep 0.05; done
}
act() {
    perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => "/tmp/ssh-XXab/agent.77") or die'
}
