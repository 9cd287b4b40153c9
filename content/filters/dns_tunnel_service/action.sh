# perl asks a resolver on loopback for a1b2.trycloudflare.com.
prepare() { resolver; }
act() { ask a1b2.trycloudflare.com; }
