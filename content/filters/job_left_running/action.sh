# `nohup sleep 0`, with a harmless program by the name of nohup.
prepare() { stand_in nohup; }
act() { nohup sleep 0; }
