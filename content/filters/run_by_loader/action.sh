# A harmless program is run through the loader.
prepare() { :; }
act() { /lib64/ld-linux-x86-64.so.2 /bin/true; }
