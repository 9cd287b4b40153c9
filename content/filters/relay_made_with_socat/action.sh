# `socat TCP-LISTEN:8080,fork TCP:127.0.0.1:22`, with a harmless program by the name of socat.
prepare() { stand_in socat; }
act() { socat TCP-LISTEN:8080,fork TCP:127.0.0.1:22; }
