# perl renames itself.
act() { perl -e '$0 = "kworker/u8:3"; select undef, undef, undef, 0.1'; }
