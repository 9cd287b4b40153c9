# A shell writes a hook.
prepare() { mkdir -p /home/ana/site/.git/hooks; }
act() { printf '#!/bin/sh\n' >/home/ana/site/.git/hooks/post-checkout; }
