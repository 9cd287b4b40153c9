# `grep -ri password /etc /var/www`.
act() { grep -ri password /etc /var/www; }
