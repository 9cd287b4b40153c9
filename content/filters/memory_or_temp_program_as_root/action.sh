# root runs a harmless program from a home.
prepare() { put /bin/true /home/ana/tidy; }
act() { /home/ana/tidy; }
