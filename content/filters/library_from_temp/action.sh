# A library is copied to /tmp and forced into a harmless program.
prepare() { cp "$(ldconfig -p | sed -n 's/.*libz\.so\.1 .*=> //p' | head -1)" /tmp/libtidy.so; }
act() { LD_PRELOAD=/tmp/libtidy.so /bin/true; }
