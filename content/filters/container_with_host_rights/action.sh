# `docker run --rm -v /:/host alpine chroot /host`, with a harmless program by the name of docker.
prepare() { stand_in docker; }
act() { docker run --rm -v /:/host alpine chroot /host; }
