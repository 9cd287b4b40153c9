# `chattr +i /etc/cron.d/tidy`, with a harmless program by the name of chattr.
prepare() { stand_in chattr; }
act() { chattr +i /etc/cron.d/tidy; }
