# A shell names a module that does not exist.
prepare() { mkdir -p /etc/modules-load.d; }
act() { echo nosuch >/etc/modules-load.d/tidy.conf; }
