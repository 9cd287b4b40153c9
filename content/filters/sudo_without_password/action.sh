# A shell writes such a rule for an account.
prepare() { mkdir -p /etc/sudoers.d; }
act() { echo 'ana ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/zz-ana; }
