# A week after a first job a shell writes a job under another name.
act() {
    echo '17 * * * * root /bin/true' >/etc/cron.d/known
    days_pass 8
    echo '17 * * * * root /bin/true' >/etc/cron.d/never-seen
}
