# curl writes to /tmp, then a harmless program is run from there.
prepare() { put /usr/bin/true /tmp/part; }
act() { curl -s -o /tmp/part http://127.0.0.1/part; /tmp/part; }
