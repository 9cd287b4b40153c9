# `kubectl auth can-i --list`, with a harmless program by the name of kubectl.
prepare() { stand_in kubectl; }
act() { kubectl auth can-i --list; }
