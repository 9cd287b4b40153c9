# Names of an onion gateway and a messenger are asked for, twenty-five text records follow.
prepare() { resolver; }
act() {
    ask abcdefghij234567.onion.ly api.telegram.org
    TYPE=16 ask $(seq -f 'part%g.example.org' 25)
}
