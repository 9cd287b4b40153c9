# docker, then nsenter (harmless programs).
prepare() { stand_in docker nsenter; }
act() {
    docker run --rm --privileged alpine
    nsenter -t 1 -m -u sh
}
