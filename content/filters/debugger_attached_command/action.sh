# `gdb -batch -p 4242 -ex 'info registers'`, with a harmless program by the name of gdb.
prepare() { stand_in gdb; }
act() { gdb -batch -p 4242 -ex 'info registers'; }
