# `tcpdump -i any -A port 21`, with a harmless program by the name of tcpdump.
prepare() { stand_in tcpdump; }
act() { tcpdump -i any -A port 21; }
