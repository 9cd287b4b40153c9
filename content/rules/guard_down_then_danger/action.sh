# SELinux is switched off in its configuration, then the password database opened.
prepare() { mkdir -p /etc/selinux; }
act() {
    echo SELINUX=disabled >/etc/selinux/config
    head -c 1 /etc/shadow
}
