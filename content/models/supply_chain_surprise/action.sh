# A script of a package (perl by the name of node) opens a key and changes a profile.
prepare() {
    put /usr/bin/perl /usr/local/bin/node
    mkdir -p /home/ana/.ssh /srv/app/node_modules/tidy && echo key >/home/ana/.ssh/id_ed25519
    : >/home/ana/.bashrc
    echo 'open my $f, "<", "/home/ana/.ssh/id_ed25519"; open my $g, ">>", "/home/ana/.bashrc"; print $g "# nothing\n"; close $g' >/srv/app/node_modules/tidy/install.js
}
act() { node /srv/app/node_modules/tidy/install.js; }
