# perl asks a resolver on loopback for twenty-five text records.
prepare() { resolver; }
act() { TYPE=16 ask $(seq -f 'part%g.example.org' 25); }
