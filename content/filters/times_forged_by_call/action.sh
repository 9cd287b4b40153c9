# perl sets back the times of a file in /usr/bin.
prepare() { cp /bin/true /usr/bin/tidy-up; }
act() { perl -e 'utime 1, 1, "/usr/bin/tidy-up"'; }
