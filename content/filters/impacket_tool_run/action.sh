# `secretsdump.py corp/ana@127.0.0.1`, with a harmless program by the name of secretsdump.py.
prepare() { stand_in secretsdump.py; }
act() { secretsdump.py corp/ana@127.0.0.1; }
