# A log is truncated, then the command history removed.
act() { truncate -s 0 /var/log/auth.log; rm /root/.bash_history; }
