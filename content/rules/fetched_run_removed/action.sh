# wget to a hidden folder, a harmless program run there, the folder removed.
prepare() {
    mkdir -p /tmp/.work && cp /bin/true /tmp/.work/part
}
act() {
    wget -q -O /tmp/.work/part.gz http://127.0.0.1/part.gz
    /tmp/.work/part
    rm -rf /tmp/.work
}
