# `grep Accepted /var/log/auth.log`.
act() { grep Accepted /var/log/auth.log; }
