# perl writes one word into the memory of a sleeping program it traces.
act() {
    sleep 9 & pid=$!
    perl -e 'my $pid = $ARGV[0] + 0; select undef, undef, undef, 0.2; open my $maps, "<", "/proc/$pid/maps"; my @w = grep / rw/, <$maps>;
        my ($at) = $w[-1] =~ /^\w+-(\w+)/; $at = hex($at) - 8;
        syscall 101, 16, $pid, 0, 0; waitpid $pid, 0x40000000;
        syscall 101, 5, $pid, $at + 0, 0; syscall 101, 17, $pid, 0, 0' $pid
    kill $pid
}
