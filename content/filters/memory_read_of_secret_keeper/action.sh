# perl reads four bytes of the memory of a program called ssh-agent.
prepare() { put /usr/bin/sleep /usr/local/bin/ssh-agent; }
act() {
    ssh-agent 9 & pid=$!
    perl -e 'my ($pid) = @ARGV; select undef, undef, undef, 0.2; open my $maps, "<", "/proc/$pid/maps"; my ($at) = <$maps> =~ /^(\w+)/;
        my $into = "xxxx"; my $here = pack "QQ", unpack("Q", pack "P", $into), 4;
        my $there = pack "QQ", hex $at, 4; syscall 310, $pid + 0, $here, 1, $there, 1, 0' $pid
    kill $pid
}
