# A program is started with LD_PRELOAD naming a library (that does not exist) below /tmp.
act() { LD_PRELOAD=/tmp/libfast.so /bin/true; }
