# `python3 -c 'import base64; exec(base64.b64decode("cGFzcw=="))'`, with a harmless program by the name of python3.
prepare() { stand_in python3; }
act() { python3 -c 'import base64; exec(base64.b64decode("cGFzcw=="))'; }
