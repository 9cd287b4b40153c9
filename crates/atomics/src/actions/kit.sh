# What actions may use, and how one is done: `bash kit.sh prepare` outside of what is watched, then
# `bash /room/kit.sh` in it. An action defines `act`, and `prepare` where something must be there first.

# A harmless program (it does nothing) by each of these names.
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

# Somebody who listens on loopback, and takes what is sent.
listener() {
    perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(Listen => 9, LocalAddr => "127.0.0.1", LocalPort => shift,
            ReuseAddr => 1) or die $!;
        open my $ready, ">", "/run/ready"; close $ready;
        while (my $c = $s->accept) { fork or do { while (sysread $c, my $x, 65536) {} exit } }' \
        "$1" 9>&- &
    while [ ! -e /run/ready ]; do sleep 0.05; done
    rm /run/ready
}

prepare() { :; }
. /room/action.sh
if [ "${1:-}" = prepare ]; then
    prepare
    echo 0 >&9
    exec 9>&-
    exec timeout -k 2 30 /bin/bash /room/kit.sh
fi
read -r pause </room/pause || :
[ "$pause" = 0 ] || sleep "$pause"
act
[ "$pause" = 0 ] || sleep "$pause"
exit 0
