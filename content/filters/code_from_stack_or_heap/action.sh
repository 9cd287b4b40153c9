# perl makes a page of its own heap executable and back.
act() {
    perl -e 'my $x = "x" x 200000; open my $m, "<", "/proc/self/maps"; my ($at) = map /^(\w+)-.*\[heap\]/, <$m>; $at = hex $at; syscall 10, $at + 0, 4096, 7; syscall 10, $at + 0, 4096, 3'
}
