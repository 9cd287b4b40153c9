# truncate of the log of logons.
prepare() { echo line >/var/log/auth.log; }
act() { truncate -s 0 /var/log/auth.log; }
