# A harmless program is run from a hidden folder below /tmp.
prepare() { put /usr/bin/true /tmp/.work/part; }
act() { /tmp/.work/part; }
