# Programs that work on data: tables read and written anew, pictures and reports, several processes, temporary files, a queue by sockets.
prepare() { mkdir -p /srv/data /home/ana/reports && chown -R 1000:1000 /srv/data /home/ana; }
act() {
    cat >/tmp/job.py <<'P'
import csv, json, multiprocessing as mp, os, pickle, random, socket, sqlite3, sys, tempfile, threading, zipfile
random.seed()
def part(n):
    with tempfile.NamedTemporaryFile("w", suffix=".csv", delete=False) as f:
        w = csv.writer(f); [w.writerow([i, random.random(), n]) for i in range(3000)]
    total = sum(float(r[1]) for r in csv.reader(open(f.name)))
    os.unlink(f.name)
    return total
with mp.Pool(3) as pool: totals = pool.map(part, range(6))
for n in range(8):
    p = f"/home/ana/reports/report-{n}.csv"
    with open(p, "w") as f: csv.writer(f).writerows([[n, t] for t in totals])
pickle.dump(totals, open("/srv/data/state.pkl", "wb")); json.dump(totals, open("/srv/data/totals.json", "w"))
with zipfile.ZipFile("/home/ana/reports/all.zip", "w") as z:
    for n in range(8): z.write(f"/home/ana/reports/report-{n}.csv")
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
def serve():
    c, _ = s.accept()
    while c.recv(65536): pass
t = threading.Thread(target=serve); t.start()
c = socket.create_connection(s.getsockname()); [c.sendall(b"x" * 60000) for _ in range(200)]; c.close(); t.join()
P
    while left; do
        ana python3 /tmp/job.py
        ana bash -c 'sort -t, -k2 reports/report-1.csv | awk -F, "{s+=\$2} END {print s}"; cut -d, -f1 reports/report-2.csv | uniq -c | head -2; openssl dgst -sha256 reports/all.zip; openssl enc -aes-256-cbc -pbkdf2 -pass pass:x -in reports/all.zip -out reports/all.zip.enc; rm reports/all.zip.enc; split -b 1k reports/report-3.csv reports/part.; rm reports/part.*'
        ana perl -MList::Util=sum -e 'print sum(map { rand } 1 .. 20000), "\n"'
        ana python3 -c 'import ctypes, mmap, subprocess; m = mmap.mmap(-1, 65536); m.write(b"x" * 100); print(subprocess.run(["nproc"], capture_output=True).stdout)'
        rest 12
    done
}
