# wget writes to /tmp (a harmless program by that name).
prepare() { stand_in wget; }
act() { wget -q -O /tmp/part http://127.0.0.1/part; }
