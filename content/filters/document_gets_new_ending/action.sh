# perl gives a text of a home one more ending.
prepare() { echo x >/home/ana/a.txt; }
act() { perl -e 'rename "/home/ana/a.txt", "/home/ana/a.txt.zz91"'; }
