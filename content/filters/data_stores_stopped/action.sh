# `systemctl stop postgresql`, with a harmless program by the name of systemctl.
prepare() { stand_in systemctl; }
act() { systemctl stop postgresql; }
