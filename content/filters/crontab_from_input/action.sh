# crontab is given a new table by a pipe (a harmless program by that name).
prepare() { waits crontab; }
act() { echo '@daily /bin/true' | crontab -; }
