# grep is given /etc/shadow.
act() { grep -c root /etc/shadow; }
