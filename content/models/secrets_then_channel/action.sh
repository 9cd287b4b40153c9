# The metadata service is asked and a token read, then a tunnel's name asked for.
prepare() {
    resolver
    ip addr add 169.254.169.254/32 dev lo
    mkdir -p /run/secrets/kubernetes.io/serviceaccount && echo token >/run/secrets/kubernetes.io/serviceaccount/token
}
act() {
    perl -MIO::Socket::INET -e 'IO::Socket::INET->new(PeerAddr => "169.254.169.254:80", Timeout => 2)'
    cat /run/secrets/kubernetes.io/serviceaccount/token
    ask a1b2.trycloudflare.com
}
