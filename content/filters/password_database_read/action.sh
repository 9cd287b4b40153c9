# head opens /etc/shadow.
act() { head -c 1 /etc/shadow; }
