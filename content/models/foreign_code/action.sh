# A harmless program is fetched into a hidden folder, made executable and run.
prepare() { put /usr/bin/true /tmp/.work/part; }
act() {
    curl -s -o /tmp/.work/part http://127.0.0.1/part
    chmod +x /tmp/.work/part
    /tmp/.work/part
}
