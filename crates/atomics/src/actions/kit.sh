# What actions may use, and how one is done: `bash kit.sh prepare` outside of what is watched, then
# `bash /room/kit.sh` in it. An action defines `act`, and `prepare` where something must be there first.

# A harmless program (it does nothing) by each of these names: for tools that are not here, and for those
# that would reach the machine or end the room (systemctl, sysctl, insmod, kexec, shutdown, wipefs, dd, rm).
# Whatever is here and stays in the room is done with the real one.
stand_in() {
    for name in "$@"; do
        case $name in /*) ;; *) name=/usr/local/bin/$name ;; esac
        mkdir -p "${name%/*}"
        rm -f "$name"
        cp /usr/bin/true "$name"
    done
}

# A harmless program by each of these names that ends when its standard input does.
waits() {
    for name in "$@"; do
        case $name in /*) ;; *) name=/usr/local/bin/$name ;; esac
        mkdir -p "${name%/*}"
        rm -f "$name"
        cp /usr/bin/cat "$name"
    done
}

# A copy of a real program elsewhere.
put() { mkdir -p "${2%/*}" && rm -f "$2" && cp "$1" "$2"; }

# As somebody without privileges.
as_ana() { HOME=/home/ana setpriv --reuid=1000 --regid=1000 --clear-groups -- "$@"; }

# Somebody who listens on a port of loopback (or of the address in $2), and takes what is sent.
listener() {
    perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(Listen => 9, LocalAddr => $ARGV[1] || "127.0.0.1", LocalPort => $ARGV[0],
            ReuseAddr => 1) or die $!;
        open my $ready, ">", "/run/ready"; close $ready;
        while (my $c = $s->accept) { fork or do { while (sysread $c, my $x, 65536) {} exit } }' \
        "$@" 9>&- &
    ready
}

# Waits for somebody in the background to have made /run/ready.
ready() {
    while [ ! -e /run/ready ]; do sleep 0.05; done
    rm /run/ready
}

# Somebody who listens on a Unix socket.
unix_listener() {
    perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 3) or die;
        open my $f, ">", "/run/ready"; close $f; sleep 60' "$1" 9>&- &
    ready
}

# A resolver on loopback that knows no name.
resolver() {
    perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(Proto => "udp",
        LocalAddr => "127.0.0.1:53") or die; open my $f, ">", "/run/ready"; close $f;
        while (defined(my $p = $s->recv(my $q, 512))) { substr($q, 2, 2) = "\x81\x83"; $s->send($q) }' 9>&- &
    ready
}

# perl asks it for each of these names; `TYPE=16 ask NAME` for text records.
ask() {
    perl -MIO::Socket::INET -e 'my $type = shift; for my $name (@ARGV) {
        my $s = IO::Socket::INET->new(Proto => "udp", PeerAddr => "127.0.0.1:53") or die;
        $s->send(pack("n6", 7, 256, 1, 0, 0, 0) . join("", map chr(length) . $_, split /[.]/, $name) . "\0" . pack("nn", $type, 1));
        $s->recv(my $answer, 512) }' "${TYPE:-1}" "$@"
}

# What comes after is judged as if so many days had passed.
days_pass() { /usr/bin/true "metsuke-days-pass $1"; }

prepare() { :; }
. /room/action.sh
if [ "${1:-}" = prepare ]; then
    prepare
    echo 0 >&9
    exec 9>&-
    read -r seconds </room/seconds || :
    exec timeout -k 2 "$seconds" /bin/bash /room/kit.sh
fi
read -r pause </room/pause || :
[ "$pause" = 0 ] || sleep "$pause"
act
[ "$pause" = 0 ] || sleep "$pause"
exit 0
