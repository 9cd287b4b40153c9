# A shell writes a new program into /usr/bin.
act() { cp /bin/true /usr/bin/tidy-up; }
