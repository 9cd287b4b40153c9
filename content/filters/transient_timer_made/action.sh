# `systemd-run --on-active=60 --unit=tidy /bin/true`, with a harmless program by the name of systemd-run.
prepare() { stand_in systemd-run; }
act() { systemd-run --on-active=60 --unit=tidy /bin/true; }
