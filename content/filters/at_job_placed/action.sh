# A shell writes a job file where at(1) does.
prepare() { mkdir -p /var/spool/cron/atjobs; }
act() { printf '#!/bin/sh\ntrue\n' >/var/spool/cron/atjobs/a00001; }
