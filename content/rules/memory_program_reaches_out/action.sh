# perl copies a harmless program into memory and runs it, then opens the password database.
act() {
    perl -e 'my $name = "part"; my $fd = syscall(319, $name, 0); open my $out, ">&=", $fd;
        open my $in, "<", "/usr/bin/true"; binmode $_ for $in, $out; local $/; print {$out} readline $in;
        close $out if open my $run, "<", "/proc/self/fd/$fd";
        exec {"/proc/self/fd/" . fileno $run} "part"'
    head -c 1 /etc/shadow
}
