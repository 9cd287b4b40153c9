# A shell writes /etc/rc.local.
act() { printf '#!/bin/sh\nexit 0\n' >/etc/rc.local; }
