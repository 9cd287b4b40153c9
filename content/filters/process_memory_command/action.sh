# `strings /proc/4242/environ`, with a harmless program by the name of strings.
prepare() { stand_in strings; }
act() { strings /proc/4242/environ; }
