# A shell copies a harmless file to a library's name.
prepare() { mkdir -p /usr/lib/x86_64-linux-gnu; }
act() { cp /bin/true /usr/lib/x86_64-linux-gnu/libtidy.so.1; }
