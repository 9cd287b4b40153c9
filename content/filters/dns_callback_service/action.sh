# perl asks a resolver on loopback for x7.oast.fun.
prepare() { resolver; }
act() { ask x7.oast.fun; }
