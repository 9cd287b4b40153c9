# curl writes into a hidden folder below /tmp (a harmless program by that name).
prepare() { stand_in curl; }
act() { curl -s -o /tmp/.cache/part http://127.0.0.1/part; }
