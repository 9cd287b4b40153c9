# curl writes to /tmp, then base64 -d works there.
prepare() { echo aGVsbG8K >/tmp/part.b64; }
act() { curl -s -o /tmp/part.b64 http://127.0.0.1/part; base64 -d /tmp/part.b64; }
