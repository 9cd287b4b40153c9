# A shell lets the room's network take redirects.
act() { echo 1 >/proc/sys/net/ipv4/conf/lo/accept_redirects; }
