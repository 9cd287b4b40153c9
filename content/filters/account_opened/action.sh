# `passwd -d backup`, with a harmless program by the name of passwd.
prepare() { stand_in passwd; }
act() { passwd -d backup; }
