# On the fourth day ana opens a tunnel for the first time, and something runs from a hidden folder in /tmp.
prepare() {
    put /bin/true /tmp/.work/part
}
act() {
    timeout 1 python3 -m http.server 8000
    days_pass 4
    as_ana ssh -N -R 8022:localhost:22 ana@127.0.0.1
    as_ana /tmp/.work/part
}
