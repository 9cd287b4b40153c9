# perl writes the attribute for a harmless capability.
prepare() { put /bin/true /opt/part; }
act() {
    perl -e 'my ($f, $n, $v) = ("/opt/part", "security.capability", pack "VVVVV", 0x02000001, 1 << 10, 0, 0, 0); syscall 188, $f, $n, $v, 20, 0'
}
