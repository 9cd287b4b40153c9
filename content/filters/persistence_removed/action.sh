# rm of a table of the job scheduler.
prepare() { echo '# empty' >/etc/cron.d/tidy; }
act() { rm /etc/cron.d/tidy; }
