# perl speaks to a socket called docker.sock, a shell writes a release agent and a job.
prepare() {
    unix_listener /run/docker.sock
    mkdir -p /opt/g
}
act() {
    perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => "/run/docker.sock") or die'
    echo /bin/true >/opt/g/release_agent
    echo '17 * * * * root /bin/true' >/etc/cron.d/tidy
}
