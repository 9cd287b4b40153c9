# bash runs a script that opens a connection to loopback, where nobody listens.
prepare() { printf 'exec 5<>/dev/tcp/127.0.0.1/4444\n' >/home/ana/check.sh; }
act() { bash /home/ana/check.sh; }
