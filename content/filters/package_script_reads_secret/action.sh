# A script of a package (perl by the name of node) opens somebody's SSH key.
prepare() {
    put /usr/bin/perl /usr/local/bin/node
    mkdir -p /home/ana/.ssh /srv/app/node_modules/tidy && echo key >/home/ana/.ssh/id_ed25519
    echo 'open my $f, "<", "/home/ana/.ssh/id_ed25519";' >/srv/app/node_modules/tidy/install.js
}
act() { node /srv/app/node_modules/tidy/install.js; }
