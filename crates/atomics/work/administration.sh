# Administration in the way of Ansible: modules as Python files in a folder below the home, facts, accounts, units, jobs, settings, keys.
task() { # NAME PYTHON: as the tool does it, by sh -c, with a module that is put there, run and removed
    /bin/sh -c 'echo ~root && sleep 0'
    dir=/root/.ansible/tmp/ansible-tmp-$RANDOM-$1
    /bin/sh -c "( umask 77 && mkdir -p \"\` echo /root/.ansible/tmp \`\"&& mkdir \"\` echo $dir \`\" && echo ansible-tmp=\"\` echo $dir \`\" ) && sleep 0"
    printf '%s\n' "$2" >"$dir/AnsiballZ_$1.py"
    /bin/sh -c "chmod u+x $dir/ $dir/AnsiballZ_$1.py && sleep 0"
    /bin/sh -c "/usr/bin/python3 $dir/AnsiballZ_$1.py && sleep 0"
    /bin/sh -c "rm -f -r $dir/ > /dev/null 2>&1 && sleep 0"
}
act() {
    grep -q '^sudo:' /etc/group || echo 'sudo:x:27:' >>/etc/group
    mkdir -p /etc/sudoers.d /etc/cron.d /etc/sysctl.d /home/ana/.ssh /etc/ssh
    round=0
    while left; do
        round=$((round + 1))
        task setup 'import os,platform,subprocess as s
for c in (["uname","-a"],["lsblk","-J"],["mount"],["df","-P"],["ip","-j","addr"],["ip","route"],["getent","passwd","root"],["id"],["dpkg-query","-W","bash"],["hostname"],["cat","/proc/cpuinfo"],["lscpu"]):
    s.run(c, stdout=s.DEVNULL, stderr=s.DEVNULL)
print(platform.platform(), os.getloadavg())'
        task user 'import subprocess as s
s.run(["useradd","-m","-s","/bin/bash","deploy"]); s.run(["usermod","-c","for roll-outs","deploy"]); s.run(["getent","passwd","deploy"])'
        task authorized_key 'import os
os.makedirs("/home/ana/.ssh", exist_ok=True)
open("/home/ana/.ssh/authorized_keys","w").write("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 ana@laptop\n")'
        task template 'import os,tempfile,shutil
f=tempfile.NamedTemporaryFile("w",delete=False,dir="/root/.ansible/tmp"); f.write("[Service]\nExecStart=/usr/bin/own\n[Install]\nWantedBy=multi-user.target\n"); f.close(); os.chmod(f.name,0o644); shutil.move(f.name,"/etc/systemd/system/own.service")'
        task systemd 'import subprocess as s
for a in ("daemon-reload","is-enabled own","restart own","status own"): s.run(["systemctl",*a.split()],stdout=s.DEVNULL,stderr=s.DEVNULL)'
        task cron "open('/etc/cron.d/own','w').write('15 3 * * * root /usr/local/sbin/backup $round\\n')"
        task sysctl 'open("/etc/sysctl.d/60-own.conf","w").write("net.core.somaxconn=1024\n")'
        task lineinfile 'p="/etc/ssh/sshd_config"; open(p,"a").close(); t=open(p).read(); open(p+".new","w").write(t.replace("X11Forwarding yes","X11Forwarding no")+"ClientAliveInterval 60\n"); import os; os.replace(p+".new",p)'
        task copy 'open("/etc/motd","w").write("web-1, belongs to the team\n"); import os; os.chmod("/etc/motd",0o644)'
        task apt 'import subprocess as s
s.run(["apt-get","-s","upgrade"],stdout=s.DEVNULL,stderr=s.DEVNULL); s.run(["dpkg","--audit"])'
        task file 'import os
os.makedirs("/srv/own/releases",exist_ok=True); os.chown("/srv/own",1000,1000)'
        task unarchive 'import tarfile,io
t=tarfile.open("/srv/own/r.tgz","w:gz"); i=tarfile.TarInfo("a"); i.size=3; t.addfile(i,io.BytesIO(b"abc")); t.close(); tarfile.open("/srv/own/r.tgz").extractall("/srv/own/releases")'
        # And by hand, over SSH as it were.
        ana bash -lc 'id; uptime; df -h; free -m; ps aux | head -5; ss -ltn; last -3; systemctl status cron 2>/dev/null; journalctl -n 3 2>/dev/null; cat /etc/os-release'
        grep -c error /var/log/syslog; sed -i 's/^#\?Port .*/Port 22/' /etc/ssh/sshd_config; chown root:root /etc/motd; chmod 640 /etc/cron.d/own
        usermod -L deploy; [ $((round % 4)) != 0 ] || userdel -r deploy
        rest 30
    done
}
