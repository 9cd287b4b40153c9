# chmod +x on a file below /tmp.
prepare() { echo data >/tmp/part; }
act() { chmod +x /tmp/part; }
