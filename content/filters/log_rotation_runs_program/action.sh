# A shell writes a rule of rotation.
prepare() { mkdir -p /etc/logrotate.d; }
act() { echo '/var/log/tidy.log { daily }' >/etc/logrotate.d/tidy; }
