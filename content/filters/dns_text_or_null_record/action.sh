# perl asks a resolver on loopback for a.example.org.
prepare() {
    perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(Proto => "udp",
        LocalAddr => "127.0.0.1:53") or die; open my $f, ">", "/run/ready"; close $f;
        while (defined(my $p = $s->recv(my $q, 512))) { substr($q, 2, 2) = "\x81\x83"; $s->send($q) }' 9>&- &
    while [ ! -e /run/ready ]; do sleep 0.05; done
}
act() {
    perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(Proto => "udp", PeerAddr => "127.0.0.1:53") or die;
        $s->send(pack("n6", 7, 256, 1, 0, 0, 0) . join("", map chr(length) . $_, split /[.]/, "a.example.org") . "\0" . pack("nn", 16, 1));
        $s->recv(my $answer, 512)'
}
