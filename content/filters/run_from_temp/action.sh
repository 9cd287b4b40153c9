# A harmless program is run from /tmp.
prepare() { put /usr/bin/true /tmp/part; }
act() { /tmp/part; }
