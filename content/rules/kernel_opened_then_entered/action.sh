# sysctl lowers a protection (a harmless program), then perl loads a socket filter that lets everything pass.
prepare() { stand_in sysctl; }
act() {
    sysctl -w kernel.unprivileged_bpf_disabled=0 kernel.randomize_va_space=0
    perl -e 'my $code = pack("CCsl", 0xb7, 0, 0, 1) . pack("CCsl", 0x95, 0, 0, 0); my $lic = "GPL\0";
        my $a = pack("LLQQLLQLL", 1, 2, unpack("Q", pack "P", $code), unpack("Q", pack "P", $lic), 0, 0, 0, 0, 0) . "\0" x 72;
        syscall 321, 5, $a, 120'
}
