# `nmap -sn 127.0.0.0/30`, with a harmless program by the name of nmap.
prepare() { stand_in nmap; }
act() { nmap -sn 127.0.0.0/30; }
