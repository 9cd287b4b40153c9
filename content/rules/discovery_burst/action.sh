# Seven questions about the host one after the other.
act() { id; uname -a; hostname; ps aux; df; who; cat /etc/passwd; }
