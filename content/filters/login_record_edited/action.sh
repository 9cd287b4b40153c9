# perl writes to the record of logons.
prepare() { head -c 384 /dev/zero >/var/log/wtmp; }
act() { perl -e 'open my $f, "+<", "/var/log/wtmp" or die; print $f "x"'; }
