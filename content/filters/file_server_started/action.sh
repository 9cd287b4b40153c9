# `timeout 1 python3 -m http.server 8000`.
act() { timeout 1 python3 -m http.server 8000; }
