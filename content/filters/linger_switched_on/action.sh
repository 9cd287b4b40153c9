# `loginctl enable-linger ana`, with a harmless program by the name of loginctl.
prepare() { stand_in loginctl; }
act() { loginctl enable-linger ana; }
