# `python3 -m http.server 8000`, with a harmless program by the name of python3.
prepare() { stand_in python3; }
act() { python3 -m http.server 8000; }
