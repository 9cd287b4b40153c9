# perl copies a library into a memory file, and a harmless program is made to load it from there.
act() {
    perl -e 'my $n = "part"; my $fd = syscall 319, $n, 0; open my $out, ">&=", $fd;
        open my $in, "<", $ARGV[0]; binmode $_ for $in, $out; local $/; print {$out} readline $in; $out->flush;
        $ENV{LD_PRELOAD} = "/proc/$$/fd/$fd"; system "/bin/true"' "$(ldconfig -p | sed -n 's/.*libz\.so\.1 .*=> //p' | head -1)"
}
