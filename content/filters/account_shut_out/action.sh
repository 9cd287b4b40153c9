# `usermod --lock ana`, with a harmless program by the name of usermod.
prepare() { stand_in usermod; }
act() { usermod --lock ana; }
