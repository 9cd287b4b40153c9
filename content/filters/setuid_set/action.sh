# chmod u+s on a copy of a harmless program.
prepare() { put /usr/bin/true /home/ana/part; }
act() { chmod u+s /home/ana/part; }
