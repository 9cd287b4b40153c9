# perl attaches to a program called sshd.
prepare() { put /usr/bin/sleep /usr/local/sbin/sshd; }
act() {
    sshd 9 & pid=$!
    sleep 0.2
    perl -e 'my $pid = $ARGV[0] + 0; syscall 101, 16, $pid, 0, 0; waitpid $pid, 0x40000000; syscall 101, 17, $pid, 0, 0' $pid
    kill $pid
}
