# A shell adds a line with pam_exec to a service that nobody uses.
prepare() { mkdir -p /etc/pam.d; }
act() { echo 'auth optional pam_exec.so expose_authtok /opt/note' >/etc/pam.d/tidy; }
