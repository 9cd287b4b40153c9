# The SSH server lets root in, and an account gets sudo without a password.
prepare() { mkdir -p /etc/ssh/sshd_config.d /etc/sudoers.d; }
act() {
    echo 'PermitRootLogin yes' >/etc/ssh/sshd_config.d/00-tidy.conf
    echo 'ana ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/zz-ana
}
