# A script (perl by the name of node) in the folder of a package connects to a listener on loopback.
prepare() {
    put /usr/bin/perl /usr/local/bin/node
    mkdir -p /srv/app/node_modules/tidy
    listener 4444
}
act() { cd /srv/app/node_modules/tidy && node -MIO::Socket::INET -e 'IO::Socket::INET->new("127.0.0.1:4444")'; }
