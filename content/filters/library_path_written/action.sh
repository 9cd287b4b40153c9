# A shell names a folder that does not exist.
prepare() { mkdir -p /etc/ld.so.conf.d; }
act() { echo /opt/nosuch >/etc/ld.so.conf.d/00-tidy.conf; }
