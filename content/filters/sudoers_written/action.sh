# A shell writes a file of rules for sudo.
prepare() { mkdir -p /etc/sudoers.d; }
act() { echo '# nothing' >/etc/sudoers.d/zz-ana; }
