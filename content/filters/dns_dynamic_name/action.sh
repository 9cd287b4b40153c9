# perl asks a resolver on loopback for alpha7.duckdns.org.
prepare() { resolver; }
act() { ask alpha7.duckdns.org; }
