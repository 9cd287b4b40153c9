# cat opens the password database, a private key and cloud credentials one after the other.
prepare() {
    mkdir -p /home/ana/.ssh /home/ana/.aws
    echo key >/home/ana/.ssh/id_rsa
    echo key >/home/ana/.aws/credentials
}
act() { cat /etc/shadow /home/ana/.ssh/id_rsa; cat /home/ana/.aws/credentials; }
