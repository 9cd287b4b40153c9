# perl asks a resolver on loopback for a.example.org.
prepare() { resolver; }
act() { TYPE=16 ask a.example.org; }
