# `shutdown -r now`, with a harmless program by the name of shutdown.
prepare() { stand_in shutdown; }
act() { shutdown -r now; }
