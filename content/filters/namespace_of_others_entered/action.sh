# perl enters a network namespace made beforehand.
prepare() {
    : >/run/other
    unshare --net=/run/other true
}
act() { perl -e 'open my $f, "<", "/run/other"; syscall 308, fileno $f, 0'; }
