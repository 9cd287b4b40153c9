# wget writes to /tmp.
act() { wget -q -O /tmp/part http://127.0.0.1/part; }
