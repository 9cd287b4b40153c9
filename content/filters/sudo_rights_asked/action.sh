# `sudo -n -l`, with a harmless program by the name of sudo.
prepare() { stand_in sudo; }
act() { sudo -n -l; }
