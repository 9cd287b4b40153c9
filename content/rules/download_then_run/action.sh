# curl writes to /tmp (a harmless program by that name), then a harmless program is run from there.
prepare() { stand_in curl; put /usr/bin/true /tmp/part; }
act() { curl -s -o /tmp/part http://127.0.0.1/part; /tmp/part; }
