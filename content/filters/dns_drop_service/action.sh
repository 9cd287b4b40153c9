# perl asks a resolver on loopback for transfer.sh.
prepare() { resolver; }
act() { ask transfer.sh; }
