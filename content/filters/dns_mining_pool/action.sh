# perl asks a resolver on loopback for pool.supportxmr.com.
prepare() { resolver; }
act() { ask pool.supportxmr.com; }
