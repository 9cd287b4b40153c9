# perl deletes a file of a home.
prepare() { echo x >/home/ana/a.txt; }
act() { perl -e 'unlink "/home/ana/a.txt"'; }
