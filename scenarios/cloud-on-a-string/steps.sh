# The metadata service and the store are listeners in the room.
prepare() {
    ip addr add 169.254.169.254/32 dev lo
    mkdir -p /run/secrets/kubernetes.io/serviceaccount /var/run
    echo token >/run/secrets/kubernetes.io/serviceaccount/token
    for at in 169.254.169.254:80 127.0.0.1:9000; do
        perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(Listen => 9, LocalAddr => $ARGV[0], ReuseAddr => 1) or die; open my $f, ">", "/run/ready"; close $f;
            while (my $c = $s->accept) { sysread $c, my $q, 65536; print $c "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"; close $c }' "$at" 9>&- &
        ready
    done
    resolver
}
ask_role() { perl -MIO::Socket::INET -e 'for my $p ("/latest/meta-data/iam/security-credentials/", "/latest/meta-data/iam/security-credentials/web") { my $s = IO::Socket::INET->new("169.254.169.254:80") or die; print $s "GET $p HTTP/1.0\r\n\r\n"; 1 while <$s> }'; }
keep_profile() { mkdir -p /root/.aws; printf '[role]\naws_access_key_id = A\n' >/root/.aws/credentials; env AWS_PROFILE=role true; }
read_token() { t=$(cat /run/secrets/kubernetes.io/serviceaccount/token); echo "$t" | base64 >/dev/null; }
list_store() { curl -s -m 2 -H 'Authorization: AWS4-HMAC-SHA256 x' 'http://127.0.0.1:9000/?list-type=2'; }
fetch_store() { for n in 1 2 3; do curl -s -m 2 -o /tmp/o$n -H 'Authorization: AWS4-HMAC-SHA256 x' http://127.0.0.1:9000/customers/$n.parquet; done; }
tunnel() { ask edge.ngrok-agent.com a1.trycloudflare.com; timeout 1 ssh -N -R 0:127.0.0.1:22 -o BatchMode=yes x@127.0.0.1; }
