# A question with a label of 60 characters goes to a resolver on loopback.
prepare() { resolver; }
act() { TYPE=16 ask mzxw6ytboimzxw6ytboimzxw6ytboimzxw6ytboimzxw6ytboimzxw6ytboi.cache.example; }
