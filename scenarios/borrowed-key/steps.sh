# A key is copied, neighbours (addresses of loopback) are asked, and the ordinary SSH client used.
prepare() {
    mkdir -p /home/ana/.ssh
    ssh-keygen -q -t ed25519 -N '' -f /home/ana/.ssh/id_ed25519
    printf '127.0.0.2 ssh-ed25519 AAAA\n127.0.0.3 ssh-ed25519 AAAA\n' >/home/ana/.ssh/known_hosts
    listener 22 0.0.0.0
}
copy_key() { install -m 600 /home/ana/.ssh/id_ed25519 /dev/shm/.k; }
read_neighbours() { cut -d' ' -f1 /home/ana/.ssh/known_hosts | sort -u; ip neigh; getent hosts; }
ask_ports() { python3 -c 'import socket
for n in range(2, 8):
    s = socket.socket(); s.settimeout(0.3); s.connect_ex((f"127.0.0.{n}", 22)); s.close()'; }
log_in() { for n in 2 3; do timeout 1 ssh -i /dev/shm/.k -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null ana@127.0.0.$n true; done; }
carry_script() { echo true >/dev/shm/.s; timeout 1 scp -i /dev/shm/.k -o BatchMode=yes /dev/shm/.s ana@127.0.0.3:/tmp/; }
tidy() { shred -u /dev/shm/.k /dev/shm/.s; }
