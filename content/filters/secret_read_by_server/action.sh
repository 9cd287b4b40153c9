# A program called nginx (perl) opens somebody's private key.
prepare() {
    put /usr/bin/perl /usr/local/bin/nginx
    mkdir -p /home/ana/.ssh && echo key >/home/ana/.ssh/id_rsa
}
act() { nginx -e 'open my $f, "<", "/home/ana/.ssh/id_rsa"'; }
