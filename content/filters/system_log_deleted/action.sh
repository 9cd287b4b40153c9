# perl removes the system's log.
act() { perl -e 'unlink "/var/log/syslog"'; }
