# `showmount -e 127.0.0.1`, with a harmless program by the name of showmount.
prepare() { stand_in showmount; }
act() { showmount -e 127.0.0.1; }
