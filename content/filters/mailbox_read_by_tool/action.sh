# `grep -ri invoice /var/mail/ana`.
act() { grep -ri invoice /var/mail/ana; }
