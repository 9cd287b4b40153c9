# A shell writes a table of the job scheduler and removes it again.
act() { echo '# empty' >/etc/cron.d/tidy; rm /etc/cron.d/tidy; }
