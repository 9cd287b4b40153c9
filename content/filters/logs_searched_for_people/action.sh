# `grep Accepted /var/log/auth.log`, with a harmless program by the name of grep.
prepare() { stand_in grep; }
act() { grep Accepted /var/log/auth.log; }
