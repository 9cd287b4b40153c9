# A web server with an application behind it, clients, a health check, uploads, a deployment of new pages.
prepare() {
    account www-data 33
    mkdir -p /var/www/html /srv/app/uploads
    for n in $(seq 40); do echo "<p>page $n</p>" >/var/www/html/p$n.html; done
    cat >/srv/app/app.py <<'P'
import http.server, os, sys, time, json, subprocess
class H(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *a): super().__init__(*a, directory="/var/www/html")
    def log_message(self, form, *a):
        with open("/srv/app/access.log", "a") as f: f.write(form % a + "\n")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(f"/srv/app/uploads/{time.time_ns()}.bin", "wb") as f: f.write(body)
        self.send_response(200); self.end_headers(); self.wfile.write(json.dumps({"n": len(body)}).encode())
http.server.ThreadingHTTPServer(("127.0.0.1", 8080), H).serve_forever()
P
    chown -R www-data /srv/app
}
act() {
    setpriv --reuid=www-data --clear-groups python3 /srv/app/app.py & server=$!
    rest 2
    while left; do
        for n in $(seq 12); do curl -s -o /dev/null "http://127.0.0.1:8080/p$((RANDOM % 45)).html"; rest 0.5; done
        wget -q -O /dev/null http://127.0.0.1:8080/p1.html
        curl -fsS http://127.0.0.1:8080/ >/dev/null || echo down | logger -t health
        head -c 20000 /dev/urandom >/home/ana/photo.jpg; curl -s -F "file=@/home/ana/photo.jpg" http://127.0.0.1:8080/up
        python3 -c 'import urllib.request as u
for n in range(20): u.urlopen("http://127.0.0.1:8080/p%d.html" % (n + 1)).read()'
        find /srv/app/uploads -type f -mmin +2 -delete
        mkdir -p /srv/release && tar czf /srv/release/site.tgz -C /var/www html && tar xzf /srv/release/site.tgz -C /var/www
        awk '{print $1}' /srv/app/access.log | sort | uniq -c | sort -rn | head -3
        openssl req -x509 -newkey rsa:2048 -nodes -keyout /srv/app/tls.key -out /srv/app/tls.crt -days 9 -subj /CN=web-1 2>/dev/null
        ss -ltn | grep 8080
        rest 10
    done
    kill $server
}
