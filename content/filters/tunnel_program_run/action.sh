# `chisel client 127.0.0.1:8000 R:socks`, with a harmless program by the name of chisel.
prepare() { stand_in chisel; }
act() { chisel client 127.0.0.1:8000 R:socks; }
