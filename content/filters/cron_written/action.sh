# A shell writes a table for the job scheduler.
act() { echo '17 * * * * root /bin/true' >/etc/cron.d/tidy; }
