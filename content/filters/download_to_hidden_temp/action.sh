# curl writes into a hidden folder below /tmp.
act() { curl -s -o /tmp/.cache/part http://127.0.0.1/part; }
