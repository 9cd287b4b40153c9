# perl sets the bit on a harmless program.
prepare() { put /bin/true /opt/part; }
act() { perl -e 'chmod 04755, "/opt/part"'; }
