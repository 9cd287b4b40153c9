# perl asks a resolver on loopback for abcdefghij234567.onion.ly.
prepare() { resolver; }
act() { ask abcdefghij234567.onion.ly; }
