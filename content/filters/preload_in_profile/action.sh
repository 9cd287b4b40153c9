# A shell adds such a line, naming a library that does not exist.
prepare() { mkdir -p /etc/profile.d; }
act() { echo 'export LD_PRELOAD=/opt/nosuch.so' >>/etc/profile.d/tidy.sh; }
