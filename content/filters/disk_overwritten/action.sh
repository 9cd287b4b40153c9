# `wipefs --all /dev/sdb`, with a harmless program by the name of wipefs.
prepare() { stand_in wipefs; }
act() { wipefs --all /dev/sdb; }
