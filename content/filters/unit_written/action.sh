# A shell writes a unit of the service manager.
act() { printf '[Service]\nExecStart=/bin/true\n' >/etc/systemd/system/tidy.service; }
