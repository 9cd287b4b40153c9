# perl renames a file so.
prepare() { echo x >/home/ana/a.txt; }
act() { perl -e 'rename "/home/ana/a.txt", "/home/ana/a.txt.locked"'; }
