# perl reads four bytes of a sleeping program's memory by process_vm_readv.
act() {
    sleep 9 & pid=$!
    perl -e 'my ($pid) = @ARGV; open my $maps, "<", "/proc/$pid/maps"; my ($at) = <$maps> =~ /^(\w+)/;
        my $into = "xxxx"; my $here = pack "QQ", unpack("Q", pack "P", $into), 4;
        my $there = pack "QQ", hex $at, 4; syscall 310, $pid + 0, $here, 1, $there, 1, 0' $pid
    kill $pid
}
