# perl writes the setting of the room's own network.
act() { perl -e 'open my $f, ">", "/proc/sys/net/ipv4/ip_forward"; print $f 1'; }
