# chmod sets it on a copy of a harmless program in a home.
prepare() { put /bin/true /home/ana/part; }
act() { chmod 4755 /home/ana/part; }
