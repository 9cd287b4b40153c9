# A shell adds such a line to the configuration.
prepare() { mkdir -p /etc/ssh/sshd_config.d; }
act() { echo 'PermitRootLogin yes' >/etc/ssh/sshd_config.d/00-tidy.conf; }
