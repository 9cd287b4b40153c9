# `grep -ri password /etc /var/www`, with a harmless program by the name of grep.
prepare() { stand_in grep; }
act() { grep -ri password /etc /var/www; }
