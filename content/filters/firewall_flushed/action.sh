# iptables -F (a harmless program by that name).
prepare() { stand_in iptables; }
act() { iptables -F; }
