# `sysctl -w vm.nr_hugepages=1280`, with a harmless program by the name of sysctl.
prepare() { stand_in sysctl; }
act() { sysctl -w vm.nr_hugepages=1280; }
