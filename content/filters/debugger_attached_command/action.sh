# `gdb -batch -p 4242 -ex 'info registers'`.
act() { gdb -batch -p 4242 -ex 'info registers'; }
