# perl asks a resolver on loopback for api.telegram.org.
prepare() { resolver; }
act() { ask api.telegram.org; }
