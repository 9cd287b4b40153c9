# `sqlmap -u 'http://127.0.0.1/?id=1' --batch`, with a harmless program by the name of sqlmap.
prepare() { stand_in sqlmap; }
act() { sqlmap -u 'http://127.0.0.1/?id=1' --batch; }
