# `grep -ri invoice /var/mail/ana`, with a harmless program by the name of grep.
prepare() { stand_in grep; }
act() { grep -ri invoice /var/mail/ana; }
