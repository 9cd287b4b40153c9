# perl loads a socket filter of two instructions that lets everything pass.
act() {
    perl -e 'my $code = pack("CCsl", 0xb7, 0, 0, 1) . pack("CCsl", 0x95, 0, 0, 0); my $lic = "GPL\0";
        my $a = pack("LLQQLLQLL", 1, 2, unpack("Q", pack "P", $code), unpack("Q", pack "P", $lic), 0, 0, 0, 0, 0) . "\0" x 72;
        syscall 321, 5, $a, 120'
}
