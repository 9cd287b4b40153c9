# A program is started by its descriptor after its file was removed.
prepare() { put /usr/bin/true /tmp/once; }
act() { exec 7</tmp/once; rm /tmp/once; /proc/self/fd/7; }
