# `proxychains4 -q curl http://127.0.0.1/`, with a harmless program by the name of proxychains4.
prepare() { stand_in proxychains4; }
act() { proxychains4 -q curl http://127.0.0.1/; }
