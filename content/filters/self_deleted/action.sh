# A copy of perl deletes itself.
prepare() { put /usr/bin/perl /opt/part; }
act() { /opt/part -e 'unlink "/opt/part"'; }
