# `arpspoof -i lo -t 127.0.0.1 127.0.0.2`, with a harmless program by the name of arpspoof.
prepare() { stand_in arpspoof; }
act() { arpspoof -i lo -t 127.0.0.1 127.0.0.2; }
