# base64 -d on a file below /tmp.
prepare() { echo aGVsbG8K >/tmp/part.b64; }
act() { base64 -d /tmp/part.b64; }
