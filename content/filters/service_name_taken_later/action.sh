# perl renames itself.
act() { perl -e '$0 = "systemd-resolve"; select undef, undef, undef, 0.1'; }
