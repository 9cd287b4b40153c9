# Python makes a file in memory out of sleep and runs it; a listener on loopback is home.
prepare() {
    listener 9555
    put /usr/bin/sleep /usr/local/bin/gpg-agent
    echo line >/var/log/auth.log
}
load() { python3 -c 'import os, ctypes
fd = os.memfd_create("", 0)
os.write(fd, open("/usr/bin/sleep", "rb").read())
if os.fork() == 0: os.execve(f"/proc/self/fd/{fd}", ["systemd-resolved", "2"], {})
os.wait()'; }
call_home() { python3 -c 'import socket, time, ctypes
ctypes.CDLL(None).prctl(15, b"systemd-resolve", 0, 0, 0)
for _ in range(3):
    s = socket.create_connection(("127.0.0.1", 9555)); s.send(b"x"); s.close(); time.sleep(0.3)'; }
read_keys() { gpg-agent 4 & pid=$!; sleep 0.3; python3 - "$pid" <<'P'
import sys
pid = sys.argv[1]
line = next(l for l in open(f"/proc/{pid}/maps") if " rw" in l)
start = int(line.split("-")[0], 16)
with open(f"/proc/{pid}/mem", "rb") as m:
    m.seek(start); m.read(64)
P
    kill $pid; }
inject() { sleep 4 & pid=$!; sleep 0.2; python3 - "$pid" <<'P'
import sys
pid = sys.argv[1]
line = next(l for l in open(f"/proc/{pid}/maps") if " rw" in l)
start = int(line.split("-")[0], 16)
with open(f"/proc/{pid}/mem", "r+b", 0) as m:
    m.seek(start); old = m.read(8); m.seek(start); m.write(old)
P
    kill $pid; }
cut_logs() { python3 -c 'open("/var/log/auth.log", "r+").truncate(0)'; }
