# A harmless program is run from /opt/.x.
prepare() { put /bin/true /opt/.x/run; }
act() { /opt/.x/run; }
