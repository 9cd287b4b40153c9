# Huge pages are asked for and a program is told of a pool (harmless programs).
prepare() { stand_in sysctl tidyd; }
act() {
    sysctl -w vm.nr_hugepages=1280
    tidyd -o stratum+tcp://127.0.0.1:3333 -u wallet
}
