# `sysctl -w kernel.randomize_va_space=0`, with a harmless program by the name of sysctl.
prepare() { stand_in sysctl; }
act() { sysctl -w kernel.randomize_va_space=0; }
