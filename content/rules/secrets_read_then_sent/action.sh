# cat opens cloud credentials, then curl (a harmless program) sends a file.
prepare() {
    stand_in curl
    mkdir -p /home/ana/.aws && echo k >/home/ana/.aws/credentials
}
act() {
    cat /home/ana/.aws/credentials
    curl -s -T /home/ana/c http://127.0.0.1/
}
