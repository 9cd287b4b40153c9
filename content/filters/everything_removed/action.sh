# `rm -rf --no-preserve-root /`, with a harmless program by the name of rm.
prepare() { stand_in rm; }
act() { rm -rf --no-preserve-root /; }
