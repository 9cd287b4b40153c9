# wget writes to /tmp, then a shell writes a table for the job scheduler.
act() {
    wget -q -O /tmp/part http://127.0.0.1/part
    echo '17 * * * * root /bin/true' >/etc/cron.d/tidy
}
