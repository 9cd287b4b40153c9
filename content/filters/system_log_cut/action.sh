# perl cuts the log of logons to nothing.
prepare() { echo line >/var/log/auth.log; }
act() { perl -e 'open my $f, "+<", "/var/log/auth.log" or die; truncate $f, 0; close $f'; }
