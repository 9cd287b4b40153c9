# A shell writes a unit.
act() { printf '[Service]\nExecStart=/bin/true\n' >/etc/systemd/system/tidy.service; }
